#!/bin/busybox sh
# /init of the test VM's initramfs: mounts the image, makes the devices ready, and becomes control,
# which runs commands for the host. Kernel arguments: vm.root=DEVICE.
/bin/busybox --install -s /bin
export PATH=/bin

fail() {
  echo "init: $1; powering off" >/dev/console
  poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for word in $(cat /proc/cmdline); do
  case $word in vm.root=*) root=${word#vm.root=} ;; esac
done

modprobe virtio_pci
# The GPU takes longest: it probes while the rest goes on.
modprobe virtio-gpu &
gpu=$!
modprobe virtio_console
modprobe virtio_blk
modprobe crc32c_generic 2>/dev/null # built in from Linux 6.14 on
modprobe ext4

mount -t ext4 -o noatime "/dev/$root" /newroot || fail "cannot mount the image /dev/$root"
mount --move /proc /newroot/proc
mount --move /sys /newroot/sys
mount --move /dev /newroot/dev
cd /newroot || fail "the image is empty"
mkdir -p dev/pts dev/shm opt/scanbridge usr/lib/modules
mount -t devpts -o mode=0620,gid=5,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=0755 tmpfs run
mkdir -p -m 0700 run/user/0
mkdir -p run/udev run/lock
# The kernel's modules and our programs live in the initramfs, so that one image serves all kernels.
mount --bind /lib/modules usr/lib/modules
mount --bind /opt/scanbridge opt/scanbridge
hostname guest
ip link set lo up

# udev gives compositors their hotplug events and their input devices.
if [ -x usr/lib/systemd/systemd-udevd ]; then
  chroot . /usr/lib/systemd/systemd-udevd --daemon
fi
wait $gpu
if [ -x usr/bin/udevadm ]; then
  SYSTEMD_IGNORE_CHROOT=1 chroot . /usr/bin/udevadm trigger --action=add --subsystem-match=drm --subsystem-match=input
fi

for name in sys/class/virtio-ports/*/name; do
  [ "$(cat "$name")" = scanbridge.control ] && port=$(basename "$(dirname "$name")")
done
[ -n "$port" ] || fail "there is no virtio port scanbridge.control"

# Not switch_root: that would empty the initramfs, which is still in use through the two bind mounts.
mount --move . /
exec chroot . /opt/scanbridge/bin/control "/dev/$port" <dev/null >dev/console 2>&1
