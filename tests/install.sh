#!/bin/sh
# What `make install` gives a user: a program that runs, a library that pkg-config finds and a C program can embed; and
# `make uninstall` takes all of it away again. Works on a build of its own folder, so CORERING's is not touched.
set -u
. "$SRCDIR/tests/tools/common.sh"
result() { # NAME, by the status of the command before
    if test $? = 0; then pass "$1"; else miss "$1" "$(tail -n 1 "$WORK/log")"; fi
}
build=${OBJ%/*} # where config.mak is
prefix=$(sed -n 's/^prefix = //p' "$build/config.mak")
stage=$WORK/stage
install() { make -s -C "$build" O="${OBJ##*/}" DESTDIR="$stage" "$1" >>"$WORK/log" 2>&1; }

# a sanitized or emulated build is not what anybody installs
if test "${OBJ##*/}" != obj || test "${EMULATOR:-}"; then
    skip "install" "only of the ordinary build, for this machine"
    exit $bad
fi

install install
result "install"
"$stage$prefix/bin/corering" --version >>"$WORK/log" 2>&1
result "the installed program runs"

if command -v pkg-config >/dev/null; then
    cat >"$WORK/embed.c" <<'END'
#include "core/trainer.h"

int main(void)
{
    struct cr_train_options o;
    struct cr_net net;
    struct cr_error e;
    cr_train_defaults(&o);
    return o.batch != 64 || cr_net_parse(&net, "n", "n.net", "input 1x4x4\nlinear 2\nsoftmax\n", &e) < 0;
}
END
    PKG_CONFIG_SYSROOT_DIR=$stage PKG_CONFIG_PATH=$stage$prefix/lib/pkgconfig
    export PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH
    # shellcheck disable=SC2046,SC2086 # lists of words
    $CC "$WORK/embed.c" -o "$WORK/embed" $(pkg-config --cflags --libs corering) >>"$WORK/log" 2>&1 && "$WORK/embed"
    result "a program embeds the installed library"
else
    skip "a program embeds the installed library" "no pkg-config"
fi

install uninstall && test -z "$(find "$stage" -type f)"
result "uninstall leaves no file"
exit $bad
