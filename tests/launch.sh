#!/bin/bash
# Starting ranks on hosts that know nothing of corering: the copy of the program, and a sentence for each thing that can
# be wrong. Hosts are namespaces (tests/tools/hosts.sh); a stand-in takes the program's place.
set -u
. "$SRCDIR/tests/tools/common.sh"
. "$SRCDIR/tests/tools/hosts.sh"
if ! why=$(hosts_possible); then skip "launch" "$why"; exit 0; fi
# A sanitized library does not link with what is compiled here, and an emulated one is not the hosts'.
if test "${OBJ##*/}" != obj || test "${EMULATOR:-}"; then skip "launch" "only of the ordinary build"; exit 0; fi
starter=$WORK/starter twin=$WORK/standin
if ! $CC -O2 -I"$SRCDIR" -o "$starter" "$SRCDIR/tests/tools/starter.c" "$OBJ/libcorering.a" -pthread ||
    ! tool standin -static; then miss "the tools compile" "see above"; exit 1; fi
hash=$(sha256sum <"$twin") && hash=${hash%% *}
hosts_up 2 || exit 1

# start HOST-LINE [OPTIONS]: what it says goes to $said.
start() {
    echo "$1" >"$WORK/hosts"
    said=$(on launcher timeout 60 "$starter" "$WORK/hosts" "$twin" "${@:2}" </dev/null 2>&1)
}
begins() { # NAME HOST-LINE [OPTIONS]
    if start "${@:2}"; then pass "$1"; else miss "$1" "$said"; fi
}
says() { # NAME PATTERN HOST-LINE [OPTIONS]
    if start "${@:3}"; then miss "$1" "it started"
    elif grep -q "^starter: ${3%% *}: .*$2" <<<"$said"; then pass "$1"
    else miss "$1" "$said"
    fi
}
copy=/root/.cache/corering/$hash/corering
inode() { on "$1" stat -c %i "$copy"; }

for host in node1 node2; do begins "$host starts from nothing" "$host slots=2"; done
same "the summons arrives" "$said" "$copy: corering-summons 1 rank=3 incarnation=7 slots=2 secure=0 probe=0 ... data=/a folder
ready
status 0"
same "nobody else can read the copy" "$(on node1 find /root/.cache/corering ! -perm 700)." "."
first=$(inode node1)
begins "a second start" node1
same "a second start copies nothing" "$first" "$(inode node1)"
on node1 sh -c "printf x | dd of=$copy bs=1 seek=1000 conv=notrunc" 2>/dev/null
begins "a damaged copy is replaced" node1
same "by the right one" "$(on node1 sha256sum "$copy")" "$hash  $copy"
same "nothing else is left there" "$(on node1 find /root/.cache -type f)" "$copy"

# shellcheck disable=SC2016 # not to be expanded here or there
nasty='/var/a b;$(touch evil)"'\''!'
begins "a folder with blanks and quotes" node1 --remote-dir "$nasty"
same "is taken as it stands" "$(on node1 sha256sum "$nasty/$hash/corering" | cut -c -64)" "$hash"
begins "another user" "node1 user=worker"
begins "words of --ssh" node1 --ssh "ssh -o Port=22 -v -E $WORK/ssh.log"
# shellcheck disable=SC2016 # to be expanded there
on node1 sh -c 'echo "echo Welcome to \$HOME; echo corering" >/root/.bashrc'
begins "a login shell that chatters" node1
on node1 rm /root/.bashrc

# The launcher dies, during the run or while it copies: nothing may remain there.
die_when() { # HOST COMMAND...: kill the launcher once the command succeeds, and wait for what it leaves to end
    mkfifo "$WORK/hold"
    echo "$1" >"$WORK/hosts"
    on launcher "$starter" "$WORK/hosts" "$twin" <"$WORK/hold" >"$WORK/held" 2>&1 &
    exec 9>"$WORK/hold"
    for ((i = 0; i < 200; i++)); do "${@:2}" && break; sleep 0.05; done
    host_signal KILL launcher starter
    for ((i = 0; i < 40; i++)); do test "$(host_pids "$1")" || break; sleep 0.05; done
    exec 9>&-
    wait
    rm "$WORK/hold"
}
# shellcheck disable=SC2317 # called by die_when
copying() { test "$(on node2 find /root/.cache -name 'part.*' -size +0)"; }
die_when node1 grep -qs ready "$WORK/held"
same "a dead launcher leaves no process there" "$(host_pids node1)." "."
same "nor here" "$(host_pids launcher 'ssh|starter')." "."
on node2 rm "$copy"
shape node2 400kbit
die_when node2 copying
same "one that dies while it copies leaves none" "$(host_pids node2)$(host_pids launcher 'ssh|starter')." "."
same "and no part of the copy" "$(on node2 find /root/.cache -name 'part.*')." "."
unshape node2

home_mount node1 noexec
says "home is mounted noexec" "noexec.*--remote-dir" node1
begins "--remote-dir helps" node1 --remote-dir /var/corering
home_umount node1
home_full node1
says "no space" "no space.*--remote-dir" node1
home_umount node1
home_mount node1 ro
says "home is read-only" "cannot make the folder.*Read-only.*--remote-dir" node1
home_umount node1
on node1 sh -c 'mkdir /var/open && chmod 777 /var/open'
says "a folder for everybody" "anybody may write to /var/open" node1 --remote-dir /var/open
on node1 sh -c "mkdir -p /var/theirs/$hash && chmod 700 /var/theirs/$hash && chown worker /var/theirs/$hash"
says "a folder of somebody else" "belongs to another user" node1 --remote-dir /var/theirs
# shellcheck disable=SC2016 # to be expanded there
printf '#!/bin/sh\ncase $1 in -m) echo aarch64 ;; -s) echo Linux ;; *) echo node1 ;; esac\n' >"$HOSTS_DIR/node1/uname"
chmod 755 "$HOSTS_DIR/node1/uname"
on node1 mount --bind /uname /usr/bin/uname
says "another architecture" "aarch64.*--binary" node1
begins "--binary helps" node1 --binary "aarch64=$twin"
echo "no program" >"$WORK/text"
says "a program that is none" "does not run there" node1 --binary "aarch64=$WORK/text"
says "a program that is not there" "cannot read the program" node1 --binary "aarch64=$WORK/missing"
on node1 umount /usr/bin/uname

says "a name that does not resolve" "does not resolve" nowhere
sshd_stop node1
says "no sshd" "no sshd listens" node1
sshd_start node1
port_drop node1 22
says "a filtered port" "firewall" node1
port_open node1
key_refuse node1
says "a key that is not known there" "ssh-copy-id node1" node1
key_accept node1
hostkey_new node1
says "a changed host key" "ssh-keygen -R node1" node1
hosts_known
name_is launcher stranger "$(host_address node2)"
says "an unknown host key" "host key is not known" stranger
begins "and all is well again" node1
exit $bad
