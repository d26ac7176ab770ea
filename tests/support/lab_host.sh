#!/bin/sh
# lab_host.sh NAME FOLDER LOWER: becomes the host NAME inside fresh mount, UTS, IPC and PID namespaces; lab.py starts it.
# The host's file system is an overlay over LOWER; what it writes lies in FOLDER/NAME/upper and survives a reboot.
set -eu
name=$1 folder=$2 lower=$3
own=$folder/$name root=$folder/$name/root
mkdir -p "$own/upper" "$own/work" "$root"
hostname "$name"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$own/upper,workdir=$own/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount --bind /dev "$root/dev"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root/run"
mkdir -p "$root/run/sshd"
if [ -d "$folder/home" ]; then mount --bind "$folder/home" "$root/home"; fi
if [ ! -e "$own/made" ]; then
    echo "$name" > "$root/etc/hostname"
    rm -f "$root"/etc/ssh/ssh_host_*
    chroot "$root" ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
    # "*" is a password that nothing fits, and unlike "!" it does not lock the account for keys.
    chroot "$root" id dev >/dev/null 2>&1 || chroot "$root" useradd -m -u 5001 -s /bin/bash -p '*' dev
    install -d -m 700 -o 5001 -g 5001 "$root/home/dev/.ssh"
    install -m 600 -o 5001 -g 5001 "$folder/id.pub" "$root/home/dev/.ssh/authorized_keys"
    cp "$folder/sshd_config" "$root/etc/ssh/sshd_config"
    touch "$own/made"
fi
# Folders of this machine, a line each: there, a tab, here.
tab=$(printf '\t')
while IFS=$tab read -r there here; do
    mkdir -p "$root$there"
    mount --bind "$here" "$root$there"
done < "$own/shown"
# Not chroot: inside one the kernel refuses user namespaces (user_namespaces(7)), and a real host has them.
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount -l /.old
rmdir /.old
exec /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config
