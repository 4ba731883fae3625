# All but the addon's glue: plain C, with nothing of Node in it.
set(MACOS_CORE_SOURCES
  src/core/error.c
  src/core/percentiles.c
  src/core/waker.c
  src/engine/engine.c
  src/engine/output.c
  src/engine/pattern.c
  src/surface/client.c
  src/surface/picture.c
  src/videotoolbox/access_unit.c
  src/videotoolbox/bits.c
  src/videotoolbox/encoder.c
  src/videotoolbox/h264_sequence.c
  src/videotoolbox/hevc_sequence.c
  src/videotoolbox/memory.c
  src/videotoolbox/session.c
  src/videotoolbox/status.c)
