// SPDX-License-Identifier: Apache-2.0
#include "videotoolbox/status.h"

#include <VideoToolbox/VideoToolbox.h>

/// Results of Mach messages to a service that is gone; VideoToolbox passes them on.
enum { MIG_SERVER_DIED = -308, MACH_DEAD_NAME = 268435459 };

static const struct {
  OSStatus status;
  bool again;
  const char* code;
  const char* what;
  const char* remedy;
} statuses[] = {
    {kVTInvalidSessionErr, true, "ENCODER_DIED", "the session is no longer valid",
     "A new session is started by itself; if it comes back, close other programs that encode "
     "video."},
    {kVTVideoEncoderMalfunctionErr, true, "ENCODER_DIED", "the encoder malfunctioned",
     "A new session is started by itself; if it comes back, lower the number or size of desktops."},
    {kVTSessionMalfunctionErr, true, "ENCODER_DIED", "the session malfunctioned",
     "A new session is started by itself; if it comes back, lower the number or size of desktops."},
    {MIG_SERVER_DIED, true, "ENCODER_DIED", "the encoder service died",
     "A new session is started by itself; if it comes back, lower the number or size of desktops."},
    {MACH_DEAD_NAME, true, "ENCODER_DIED", "the encoder service is gone",
     "A new session is started by itself; if it comes back, lower the number or size of desktops."},
    {kVTVideoEncoderNotAvailableNowErr, true, "ENCODER_BUSY", "no encoder is free",
     "Close other programs that encode video, or lower the number of desktops."},
    {kVTCouldNotFindVideoEncoderErr, false, "ENCODER_MISSING", "there is no encoder for this codec",
     "Use H.264, which every Mac encodes."},
    {kVTCouldNotCreateInstanceErr, false, "ENCODER_MISSING", "the encoder cannot be started",
     "Use H.264, or restart the Mac."},
    {kVTVideoEncoderAuthorizationErr, false, "ENCODER_DENIED", "this process may not encode",
     "Run the bridge as a user who is logged in, not as root or in a sandbox."},
    {kVTAllocationFailedErr, false, "ENCODER_MEMORY", "memory ran out",
     "Close other programs, or lower the number or size of desktops."},
    {kVTParameterErr, false, "ENCODER_FAILED", "a parameter was refused",
     "Report it with the size of the desktop and the release of macOS."},
};

bool sbm_status_error(OSStatus status, const char* doing, sbm_error* error) {
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
    if (statuses[i].status != status) continue;
    sbm_error_set(error, statuses[i].code, statuses[i].remedy,
                  "VideoToolbox failed to %s: %s (status %d).", doing, statuses[i].what,
                  (int)status);
    if (error != NULL) error->status = status;
    return statuses[i].again;
  }
  sbm_error_set(error, "ENCODER_FAILED", "Look the status up at osstatus.com, and report it.",
                "VideoToolbox failed to %s (status %d).", doing, (int)status);
  if (error != NULL) error->status = status;
  return false;
}
