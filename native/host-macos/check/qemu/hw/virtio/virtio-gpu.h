#ifndef CHECK_HW_VIRTIO_GPU_H_
#define CHECK_HW_VIRTIO_GPU_H_
#include "hw/virtio/virtio-gpu-observer.h"
#define VIRTIO_GPU_MAX_SCANOUTS 16
#endif
