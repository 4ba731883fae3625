#!/bin/sh
# two-desktops WIDTHxHEIGHT pixman|gles2: shows a desktop on each of the first two heads, prints "ready" when both are
# there, and runs until it is ended. One sway drives both heads, with a bar, a workspace and windows of its own on
# each: two compositors on one GPU take DRM leases.
set -e
size=$1
renderer=$2
user=65534
cd /
export XDG_RUNTIME_DIR=/run/user/$user SWAYSOCK=/run/user/$user/sway
mkdir -p -m 0700 $XDG_RUNTIME_DIR
chown $user:$user $XDG_RUNTIME_DIR

cat > /run/two-desktops.conf <<CONFIG
xwayland disable
default_border normal
output Virtual-1 mode --custom $size position 0 0 background #1d3557 solid_color
output Virtual-2 mode --custom $size position 8192 0 background #2d6a4f solid_color
workspace 1 output Virtual-1
workspace 2 output Virtual-2
assign [app_id="first"] workspace 1
assign [app_id="second"] workspace 2
bar {
  position top
  tray_output none
  status_command while date +%T; do sleep 1; done
}
exec foot --app-id first --title "desktop 1" top
exec foot --app-id second --title "desktop 2" sh -c 'while :; do date +%T.%1N; sleep 0.1; done'
CONFIG

# The heads have been connected a moment ago: a compositor that starts before finds them by hotplug.
SEATD_VTBOUND=0 seatd -u nobody &
trap 'kill $(jobs -p) 2>/dev/null || :' EXIT
while ! [ -S /run/seatd.sock ]; do sleep 0.05; done
setpriv --reuid=$user --regid=$user --groups=video,render env LIBSEAT_BACKEND=seatd \
  WLR_RENDERER=$renderer WLR_LIBINPUT_NO_DEVICES=1 HOME=/tmp \
  sway --config /run/two-desktops.conf &
sway=$!
for window in first second; do
  until swaymsg -t get_tree 2>/dev/null | grep -q "\"app_id\": \"$window\""; do
    kill -0 $sway || exit 1
    sleep 0.1
  done
done
echo ready
wait $sway
