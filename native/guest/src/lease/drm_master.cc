// SPDX-License-Identifier: Apache-2.0
#include "lease/drm_master.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <virtgpu_drm.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "lease/system_error.h"

namespace scanbridge::guest {
namespace {

/// Pointers of libdrm, with the functions that free them.
template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Resources = std::unique_ptr<drmModeRes, Freed<drmModeFreeResources>>;
using Connector = std::unique_ptr<drmModeConnector, Freed<drmModeFreeConnector>>;
using Encoder = std::unique_ptr<drmModeEncoder, Freed<drmModeFreeEncoder>>;
using PlaneList = std::unique_ptr<drmModePlaneRes, Freed<drmModeFreePlaneResources>>;
using Plane = std::unique_ptr<drmModePlane, Freed<drmModeFreePlane>>;
using Properties = std::unique_ptr<drmModeObjectProperties, Freed<drmModeFreeObjectProperties>>;
using Property = std::unique_ptr<drmModePropertyRes, Freed<drmModeFreeProperty>>;
using Crtc = std::unique_ptr<drmModeCrtc, Freed<drmModeFreeCrtc>>;
using Lessees = std::unique_ptr<drmModeLesseeListRes, Freed<drmFree>>;
using Version = std::unique_ptr<drmVersion, Freed<drmFreeVersion>>;

struct PlaneInfo {
  uint32_t id;
  uint32_t possible_crtcs;
  uint64_t type;
};

uint32_t RefreshOf(const drmModeModeInfo& mode) {
  // vrefresh is rounded to whole hertz; the pixel clock [kHz] is not.
  const uint64_t pixels = static_cast<uint64_t>(mode.htotal) * mode.vtotal;
  if (pixels == 0) return mode.vrefresh * 1000;
  return static_cast<uint32_t>((mode.clock * 1'000'000ull + pixels / 2) / pixels);
}

DisplayMode ModeOf(const drmModeModeInfo& mode) {
  return {mode.hdisplay, mode.vdisplay, RefreshOf(mode),
          (mode.type & DRM_MODE_TYPE_PREFERRED) != 0};
}

std::optional<uint64_t> ReadProperty(int fd, uint32_t object, uint32_t type, const char* name) {
  const Properties properties(drmModeObjectGetProperties(fd, object, type));
  if (!properties) return std::nullopt;
  for (uint32_t i = 0; i < properties->count_props; i++) {
    const Property property(drmModeGetProperty(fd, properties->props[i]));
    if (property && std::string_view(property->name) == name) return properties->prop_values[i];
  }
  return std::nullopt;
}

std::vector<PlaneInfo> ListPlanes(int fd) {
  const PlaneList list(drmModeGetPlaneResources(fd));
  if (!list) ThrowErrno("cannot list the planes of the DRM device");
  std::vector<PlaneInfo> planes;
  for (uint32_t i = 0; i < list->count_planes; i++) {
    const Plane plane(drmModeGetPlane(fd, list->planes[i]));
    if (!plane) continue;
    const auto type = ReadProperty(fd, plane->plane_id, DRM_MODE_OBJECT_PLANE, "type");
    if (type) planes.push_back({plane->plane_id, plane->possible_crtcs, *type});
  }
  return planes;
}

/// A plane that fits this CRTC and that no head before has taken.
uint32_t TakePlane(std::vector<PlaneInfo>& planes, uint64_t type, int crtc_index) {
  const auto found = std::find_if(planes.begin(), planes.end(), [&](const PlaneInfo& plane) {
    return plane.type == type && (plane.possible_crtcs & 1u << crtc_index) != 0;
  });
  if (found == planes.end()) return 0;
  const uint32_t id = found->id;
  planes.erase(found);
  return id;
}

std::string NameOf(const drmModeConnector& connector) {
  const char* type = drmModeGetConnectorTypeName(connector.connector_type);
  return std::string(type == nullptr ? "Unknown" : type) + "-" +
         std::to_string(connector.connector_type_id);
}

/// The CRTCs that one of the connector's encoders can drive, a bit each.
uint32_t PossibleCrtcs(int fd, const drmModeConnector& connector) {
  uint32_t mask = 0;
  for (int i = 0; i < connector.count_encoders; i++) {
    const Encoder encoder(drmModeGetEncoder(fd, connector.encoders[i]));
    if (encoder) mask |= encoder->possible_crtcs;
  }
  return mask;
}

bool Renders(int fd) {
  uint64_t value = 0;
  drm_virtgpu_getparam parameter{};
  parameter.param = VIRTGPU_PARAM_3D_FEATURES;
  parameter.value = reinterpret_cast<uintptr_t>(&value);
  return drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &parameter) == 0 &&
         static_cast<uint32_t>(value) != 0;
}

/// While it lives, this thread has no CAP_SYS_ADMIN.
class WithoutAdmin {
 public:
  WithoutAdmin() {
    if (syscall(SYS_capget, &header_, before_.data()) != 0) ThrowErrno("cannot read capabilities");
    auto without = before_;
    without[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
    if (syscall(SYS_capset, &header_, without.data()) != 0) ThrowErrno("cannot drop a capability");
  }
  WithoutAdmin(const WithoutAdmin&) = delete;
  WithoutAdmin& operator=(const WithoutAdmin&) = delete;
  ~WithoutAdmin() { syscall(SYS_capset, &header_, before_.data()); }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> before_{};
};

}  // namespace

std::vector<DrmDevice> ListVirtioGpus() {
  const int count = drmGetDevices2(0, nullptr, 0);
  if (count <= 0) return {};
  std::vector<drmDevicePtr> found(static_cast<size_t>(count));
  const int filled = drmGetDevices2(0, found.data(), count);
  std::vector<DrmDevice> devices;
  for (int i = 0; i < std::min(filled, count); i++) {
    const drmDevicePtr device = found[static_cast<size_t>(i)];
    if ((device->available_nodes & 1 << DRM_NODE_PRIMARY) == 0) continue;
    const UniqueFd fd(open(device->nodes[DRM_NODE_PRIMARY], O_RDWR | O_CLOEXEC));
    if (!fd) continue;
    // Who opens the node first becomes its master without asking.
    drmDropMaster(fd.get());
    const Version version(drmGetVersion(fd.get()));
    if (!version || std::string_view(version->name) != "virtio_gpu") continue;
    DrmDevice entry;
    entry.card = device->nodes[DRM_NODE_PRIMARY];
    if ((device->available_nodes & 1 << DRM_NODE_RENDER) != 0) {
      entry.render_node = device->nodes[DRM_NODE_RENDER];
    }
    if (device->bustype == DRM_BUS_PCI) {
      std::array<char, 32> text{};
      const drmPciBusInfo& pci = *device->businfo.pci;
      (void)snprintf(text.data(), text.size(), "%04x:%02x:%02x.%u", pci.domain, pci.bus, pci.dev,
                     static_cast<unsigned>(pci.func));
      entry.address = text.data();
    } else {
      entry.address = entry.card;
    }
    entry.renders = Renders(fd.get());
    devices.push_back(std::move(entry));
  }
  drmFreeDevices(found.data(), std::max(0, std::min(filled, count)));
  std::sort(devices.begin(), devices.end(),
            [](const DrmDevice& a, const DrmDevice& b) { return a.address < b.address; });
  return devices;
}

UniqueFd OpenMaster(const std::string& card) {
  UniqueFd fd(open(card.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) ThrowErrno("cannot open " + card);
  if (drmIsMaster(fd.get()) == 0 && drmSetMaster(fd.get()) != 0) {
    ThrowErrno("cannot become the DRM master of " + card);
  }
  // Planes can be leased only by who sees all of them. DRM_CLIENT_CAP_ATOMIC is not set: from such
  // clients the kernel hides virtio-gpu's cursor planes (DRIVER_CURSOR_HOTSPOT).
  if (drmSetClientCap(fd.get(), DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) != 0) {
    ThrowErrno("cannot see all planes of " + card);
  }
  return fd;
}

UniqueFd OpenForBuffers(const std::string& card) {
  // The kernel authenticates whoever opens the node as an administrator.
  const WithoutAdmin without;
  UniqueFd fd(open(card.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) ThrowErrno("cannot open " + card);
  // The first to open a node without a master becomes its master; here the caller is it.
  if (drmIsMaster(fd.get()) != 0) ThrowErrno(card + " has lost its master", EPERM);
  return fd;
}

std::vector<Head> ListHeads(int master, uint32_t probe) {
  const Resources resources(drmModeGetResources(master));
  if (!resources) ThrowErrno("cannot list the objects of the DRM device");
  std::vector<PlaneInfo> planes = ListPlanes(master);
  std::vector<Head> heads;
  uint32_t taken = 0;
  for (int i = 0; i < resources->count_connectors; i++) {
    const uint32_t id = resources->connectors[i];
    const Connector connector(probe == id ? drmModeGetConnector(master, id)
                                          : drmModeGetConnectorCurrent(master, id));
    // Connectors may go while they are listed.
    if (!connector) continue;
    const uint32_t possible = PossibleCrtcs(master, *connector) & ~taken;
    for (int index = 0; index < resources->count_crtcs; index++) {
      if ((possible & 1u << index) == 0) continue;
      taken |= 1u << index;
      Head head;
      head.scanout = static_cast<uint32_t>(index);
      head.connector = id;
      head.crtc = resources->crtcs[index];
      head.primary = TakePlane(planes, DRM_PLANE_TYPE_PRIMARY, index);
      head.cursor = TakePlane(planes, DRM_PLANE_TYPE_CURSOR, index);
      head.name = NameOf(*connector);
      head.connected = connector->connection == DRM_MODE_CONNECTED;
      for (int m = 0; m < connector->count_modes; m++) {
        head.modes.push_back(ModeOf(connector->modes[m]));
      }
      heads.push_back(std::move(head));
      break;
    }
  }
  return heads;
}

DisplayMode CurrentMode(int master, uint32_t crtc_id) {
  const Crtc crtc(drmModeGetCrtc(master, crtc_id));
  if (!crtc) ThrowErrno("cannot read CRTC " + std::to_string(crtc_id));
  return crtc->mode_valid != 0 ? ModeOf(crtc->mode) : DisplayMode{};
}

DrmLease CreateLease(int master, const Head& head) {
  std::vector<uint32_t> objects = {head.connector, head.crtc, head.primary};
  if (head.cursor != 0) objects.push_back(head.cursor);
  DrmLease lease;
  const int fd = drmModeCreateLease(master, objects.data(), static_cast<int>(objects.size()),
                                    O_CLOEXEC | O_NONBLOCK, &lease.lessee);
  if (fd < 0) ThrowErrno("cannot lease " + head.name, -fd);
  lease.fd.reset(fd);
  return lease;
}

std::vector<uint32_t> ListLessees(int master) {
  const Lessees list(drmModeListLessees(master));
  if (!list) ThrowErrno("cannot list the leases of the DRM device");
  return {list->lessees, list->lessees + list->count};
}

void RevokeLease(int master, uint32_t lessee) {
  const int result = drmModeRevokeLease(master, lessee);
  if (result < 0 && result != -ENOENT) {
    ThrowErrno("cannot revoke lease " + std::to_string(lessee), -result);
  }
}

}  // namespace scanbridge::guest
