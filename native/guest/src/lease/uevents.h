// SPDX-License-Identifier: Apache-2.0
// The kernel's own words about devices (NETLINK_KOBJECT_UEVENT), which udev need not be there for.
#ifndef SCANBRIDGE_GUEST_LEASE_UEVENTS_H_
#define SCANBRIDGE_GUEST_LEASE_UEVENTS_H_

#include <map>
#include <string>
#include <vector>

#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {

/// KEY=value: ACTION, SUBSYSTEM, DEVNAME, HOTPLUG, LEASE...
using Uevent = std::map<std::string, std::string>;

/// A socket that is readable when there are events. Throws std::system_error.
UniqueFd OpenUevents();

/// Those that have come, at most 64; what others than the kernel send is dropped. An event without
/// keys stands for those that were lost, because they were not read in time. Throws
/// std::system_error.
std::vector<Uevent> ReadUevents(int fd);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_LEASE_UEVENTS_H_
