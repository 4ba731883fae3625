// SPDX-License-Identifier: Apache-2.0
// The part of org.freedesktop.login1 that is there, as D-Bus introspection has it.
#ifndef SCANBRIDGE_GUEST_SEAT_LOGIN_INTERFACES_H_
#define SCANBRIDGE_GUEST_SEAT_LOGIN_INTERFACES_H_

namespace scanbridge::guest {

inline constexpr char kLoginInterfaces[] = R"xml(
<node>
  <interface name="org.freedesktop.login1.Manager">
    <method name="GetSession"><arg type="s" direction="in"/><arg type="o" direction="out"/></method>
    <method name="GetSessionByPID"><arg type="u" direction="in"/><arg type="o" direction="out"/></method>
    <method name="GetUser"><arg type="u" direction="in"/><arg type="o" direction="out"/></method>
    <method name="GetSeat"><arg type="s" direction="in"/><arg type="o" direction="out"/></method>
    <method name="ListSessions"><arg type="a(susso)" direction="out"/></method>
    <method name="ListSeats"><arg type="a(so)" direction="out"/></method>
    <method name="Inhibit">
      <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
      <arg type="s" direction="in"/><arg type="h" direction="out"/>
    </method>
    <method name="CanPowerOff"><arg type="s" direction="out"/></method>
    <method name="CanReboot"><arg type="s" direction="out"/></method>
    <method name="CanSuspend"><arg type="s" direction="out"/></method>
    <method name="CanHibernate"><arg type="s" direction="out"/></method>
    <method name="CanRebootToBootLoaderMenu"><arg type="s" direction="out"/></method>
    <property name="IdleHint" type="b" access="read"/>
    <property name="PreparingForSleep" type="b" access="read"/>
    <property name="PreparingForShutdown" type="b" access="read"/>
    <property name="Docked" type="b" access="read"/>
    <property name="LidClosed" type="b" access="read"/>
    <property name="OnExternalPower" type="b" access="read"/>
    <signal name="PrepareForSleep"><arg type="b"/></signal>
    <signal name="PrepareForShutdown"><arg type="b"/></signal>
  </interface>
  <interface name="org.freedesktop.login1.Session">
    <method name="TakeControl"><arg type="b" direction="in"/></method>
    <method name="ReleaseControl"/>
    <method name="TakeDevice">
      <arg type="u" direction="in"/><arg type="u" direction="in"/>
      <arg type="h" direction="out"/><arg type="b" direction="out"/>
    </method>
    <method name="ReleaseDevice"><arg type="u" direction="in"/><arg type="u" direction="in"/></method>
    <method name="PauseDeviceComplete"><arg type="u" direction="in"/><arg type="u" direction="in"/></method>
    <method name="Activate"/>
    <method name="SetType"><arg type="s" direction="in"/></method>
    <method name="SetIdleHint"><arg type="b" direction="in"/></method>
    <method name="SetLockedHint"><arg type="b" direction="in"/></method>
    <method name="SetBrightness">
      <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="u" direction="in"/>
    </method>
    <property name="Id" type="s" access="read"/>
    <property name="User" type="(uo)" access="read"/>
    <property name="Name" type="s" access="read"/>
    <property name="Seat" type="(so)" access="read"/>
    <property name="VTNr" type="u" access="read"/>
    <property name="Type" type="s" access="read"/>
    <property name="Class" type="s" access="read"/>
    <property name="State" type="s" access="read"/>
    <property name="Active" type="b" access="read"/>
    <property name="Remote" type="b" access="read"/>
    <property name="IdleHint" type="b" access="read"/>
    <property name="LockedHint" type="b" access="read"/>
    <signal name="PauseDevice"><arg type="u"/><arg type="u"/><arg type="s"/></signal>
    <signal name="ResumeDevice"><arg type="u"/><arg type="u"/><arg type="h"/></signal>
    <signal name="Lock"/>
    <signal name="Unlock"/>
  </interface>
  <interface name="org.freedesktop.login1.Seat">
    <method name="SwitchTo"><arg type="u" direction="in"/></method>
    <property name="Id" type="s" access="read"/>
    <property name="ActiveSession" type="(so)" access="read"/>
    <property name="CanTTY" type="b" access="read"/>
    <property name="CanGraphical" type="b" access="read"/>
    <property name="Sessions" type="a(so)" access="read"/>
    <property name="IdleHint" type="b" access="read"/>
  </interface>
  <interface name="org.freedesktop.login1.User">
    <property name="UID" type="u" access="read"/>
    <property name="Display" type="(so)" access="read"/>
    <property name="State" type="s" access="read"/>
    <property name="Sessions" type="a(so)" access="read"/>
  </interface>
</node>
)xml";

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_SEAT_LOGIN_INTERFACES_H_
