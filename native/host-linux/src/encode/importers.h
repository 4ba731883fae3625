// SPDX-License-Identifier: Apache-2.0
// The elements that take dma-bufs into a GPU, and what they really take on this machine.
#ifndef SCANBRIDGE_HOST_ENCODE_IMPORTERS_H_
#define SCANBRIDGE_HOST_ENCODE_IMPORTERS_H_

#include <string>
#include <vector>

namespace scanbridge::host {

struct Importer {
  /// "vapostproc", "varenderD129postproc", "glupload"
  std::string element;
  /// Of VA-API's: "/dev/dri/renderD128".
  std::string render_node;
  /// Formats of its sink caps with memory:DMABuf, "XR24:0x0300000000606010" or "BGRx"; empty: it
  /// takes none on this GPU, whatever its version.
  std::vector<std::string> dmabuf;
};

/// Reads the caps of what is registered: VA-API's elements exist once a render node, with the caps
/// that the driver gave them.
std::vector<Importer> FindImporters();

}  // namespace scanbridge::host

#endif  // SCANBRIDGE_HOST_ENCODE_IMPORTERS_H_
