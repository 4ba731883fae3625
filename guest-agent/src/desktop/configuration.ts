import type { Account } from './account.js';

/**
 * A message bus for the desktop's user and root alone, without service activation: only what we start
 * runs on it.
 */
export function busConfig(account: Account): string {
  return `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/nonexistent</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <deny user="*"/>
    <allow user="root"/>
    <allow user="${account.uid}"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;
}

/**
 * WirePlumber without any hardware, so that a desktop of ours never takes the user's sound card or
 * camera: Lua for 0.4 (Debian 12), a profile for 0.5 (Debian 13 and later).
 */
export function wireplumberConfig(): Record<string, string> {
  return {
    'config/wireplumber/main.lua.d/80-scanbridge.lua': [
      'alsa_monitor.enabled = false',
      'v4l2_monitor.enabled = false',
      'libcamera_monitor.enabled = false',
      '',
    ].join('\n'),
    'config/wireplumber/bluetooth.lua.d/80-scanbridge.lua': 'bluez_monitor.enabled = false\n',
    'config/wireplumber/wireplumber.conf.d/80-scanbridge.conf': `wireplumber.profiles = {
  main = {
    hardware.audio = disabled
    hardware.bluetooth = disabled
    hardware.video-capture = disabled
    support.reserve-device = disabled
    support.portal-permissionstore = disabled
    support.logind = disabled
  }
}
`,
  };
}

/**
 * GSettings of the compositor. The scene is the desktop's background: a click on it must not lift it
 * over the terminal.
 */
export function compositorSettings(): Record<string, string> {
  return {
    'config/glib-2.0/settings/keyfile': `[org/gnome/desktop/wm/preferences]
raise-on-click=false
focus-mode='click'

[org/gnome/desktop/interface]
enable-animations=false

[org/gnome/mutter]
dynamic-workspaces=false
`,
  };
}
