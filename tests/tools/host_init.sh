#!/bin/bash
# Process 1 of a test host: makes what the host sees of the machine, starts its sshd, and stays until it is killed,
# which ends every process of the host. tests/tools/hosts.sh starts it in new namespaces:
#     host_init.sh KIND NAME FOLDER      KIND: switch, launcher or host; FOLDER: its root, for a launcher just its files
# It answers on descriptor 4 with its process number outside, once everything is there.
set -eu
kind=$1 name=$2 folder=$3
read -r outside _ </proc/self/stat # /proc is still the one outside
hostname "$name"

# The network of a host has its own /sys/class/net; the quotas of control groups are the machine's.
mount_sys() {
    mount -t sysfs sysfs "$1"
    mount --rbind /sys/fs/cgroup "$1/fs/cgroup" 2>/dev/null || true
}

# A host's root holds the system's programs, read-only, and nothing else of this machine: no source tree, no data sets,
# no corering installed by hand, and empty homes, which live in FOLDER and survive a reboot.
host_root() {
    mount --bind "$folder" "$folder"
    cd "$folder"
    local d
    for d in usr bin sbin lib lib32 lib64 libx32; do
        if test -L /$d; then test -L $d || cp -P /$d $d
        elif test -d /$d; then
            mkdir -p $d
            mount --bind /$d $d
            mount -o remount,bind,ro $d
        fi
    done
    for d in local src; do
        test ! -d usr/$d || mount -t tmpfs tmpfs usr/$d
    done
    mkdir -p dev proc sys tmp run/sshd var/log var/tmp root home
    chmod 1777 tmp var/tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for d in null zero full random urandom tty; do
        : >dev/$d
        mount --bind /dev/$d dev/$d
    done
    mkdir dev/shm dev/pts
    mount -t tmpfs -o mode=1777 tmpfs dev/shm
    mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mount_sys sys
    mount -t proc proc proc
    pivot_root . .
    umount -l .
    cd /
}

# The launcher sees this machine as it is, program and data, but for names and for what ssh reads.
launcher_root() {
    local file
    for file in hosts nsswitch.conf resolv.conf ssh/ssh_config; do
        test ! -e "/etc/$file" || mount --bind "$folder/etc/$file" "/etc/$file"
    done
    mount_sys /sys
    mount -t proc proc /proc
}

case $kind in
host) host_root; /usr/sbin/sshd -E /var/log/sshd.log ;;
launcher) launcher_root ;;
esac
echo "$outside" >&4
exec 4>&-

# Waiting on a pipe that nobody writes to, bash reaps the orphans that process 1 inherits.
exec 3<> <(:)
while :; do read -r -u 3 || sleep 1; done
