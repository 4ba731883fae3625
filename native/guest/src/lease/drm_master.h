// SPDX-License-Identifier: Apache-2.0
// The master of a virtio-gpu device's DRM node, as far as leases need one: it looks, and it lends.
// It never sets a mode, nor a property, as the kernel's mode_config.mutex is shared with those who
// hold leases.
#ifndef SCANBRIDGE_GUEST_LEASE_DRM_MASTER_H_
#define SCANBRIDGE_GUEST_LEASE_DRM_MASTER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "scanbridge/surface/unique_fd.h"

namespace scanbridge::guest {

struct DisplayMode {
  uint32_t width = 0;
  uint32_t height = 0;
  /// [mHz]
  uint32_t refresh = 0;
  bool preferred = false;
};

/// A connector with the objects that drive it, all found by asking the kernel.
struct Head {
  /// The CRTC's place among the device's: virtio-gpu's scanout number.
  uint32_t scanout = 0;
  uint32_t connector = 0;
  uint32_t crtc = 0;
  uint32_t primary = 0;
  /// 0: there is none.
  uint32_t cursor = 0;
  /// As the kernel names it: "Virtual-1".
  std::string name;
  bool connected = false;
  std::vector<DisplayMode> modes;
};

struct DrmLease {
  UniqueFd fd;
  uint32_t lessee = 0;
};

/// A virtio-gpu device of this machine.
struct DrmDevice {
  std::string card;
  /// Empty: none.
  std::string render_node;
  /// PCI address, or whatever its bus calls it.
  std::string address;
  /// Whether it renders (virgl), or only shows.
  bool renders = false;
};

/// All functions throw std::system_error, which says to whom it happened.

/// The virtio-gpu devices of this machine, by address.
std::vector<DrmDevice> ListVirtioGpus();

/// Opens a node and becomes its master; EBUSY where another process is.
UniqueFd OpenMaster(const std::string& card);

/// `probe`: of this connector (0: of none) the driver is asked anew; of the others it tells what
/// was known last.
std::vector<Head> ListHeads(int master, uint32_t probe);

/// The mode that a CRTC has now; width 0 when it is off.
DisplayMode CurrentMode(int master, uint32_t crtc);

/// Lends the objects of a head. The lease lives until its last descriptor is closed, or it is
/// revoked.
DrmLease CreateLease(int master, const Head& head);

/// Opens the node as one who may make buffers on it, and share them, and nothing else: neither its
/// master nor authenticated.
UniqueFd OpenForBuffers(const std::string& card);

/// Those who hold leases now.
std::vector<uint32_t> ListLessees(int master);

/// Does nothing when the lease is over already.
void RevokeLease(int master, uint32_t lessee);

}  // namespace scanbridge::guest

#endif  // SCANBRIDGE_GUEST_LEASE_DRM_MASTER_H_
