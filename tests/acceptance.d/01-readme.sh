#!/bin/sh
# README's two commands on a clean clone, by a machine without libcheck: this one, seen through an overlay from which it
# is removed. Where that cannot be had (no root, no apt-get), the machine as it is.
set -u
. "$SRCDIR/tests/tools/common.sh"
git clone -q "$SRCDIR" "$WORK/clone" || exit 1

cat >"$WORK/without" <<'END'
cd "$1" && mkdir room && mount -t tmpfs none room && mkdir room/upper room/work room/root &&
    mount -t overlay overlay -o "lowerdir=/,upperdir=room/upper,workdir=room/work" room/root &&
    mount -t proc proc room/root/proc && mount --bind /dev room/root/dev &&
    chroot room/root apt-get remove -qq -y check >removed 2>&1 && test ! -e room/root/usr/include/check.h || exit 125
shift
exec chroot room/root "$@"
END

# readme TARGET: run the command; leaves $how, $status and $took.
readme() {
    cat >"$WORK/command" <<END
cd "$WORK/clone" && ./configure --install-deps && make $1
END
    start=$(date +%s)
    how="without libcheck"
    unshare -m sh "$WORK/without" "$WORK" sh "$WORK/command" >"$WORK/$1.log" 2>&1
    status=$?
    if test $status = 125; then
        how="no overlay here, libcheck left as it was"
        sh "$WORK/command" >"$WORK/$1.log" 2>&1
        status=$?
    fi
    rmdir "$WORK/room" 2>/dev/null
    took=$(($(date +%s) - start))
}

{
    readme demo
    if test $status = 0 && grep -q '^Top-1' "$WORK/demo.log" && grep -q '^loss' "$WORK/demo.log" &&
        grep -q '^The model is in' "$WORK/demo.log"
    then pass "make demo, $how: $(grep -m 1 '^Top-1' "$WORK/demo.log"), $took s with the build"
    else miss "make demo, $how" "status $status, $(tail -n 1 "$WORK/demo.log")"
    fi
    readme check
    if test $status = 0; then pass "make check, $how: $(tail -n 1 "$WORK/check.log"), $took s with the build"
    else miss "make check, $how" "status $status, $(grep -m 1 '^not ok' "$WORK/check.log")"
    fi
} | verdicts 01
