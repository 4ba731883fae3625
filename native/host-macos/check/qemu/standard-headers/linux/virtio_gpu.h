#ifndef CHECK_VIRTIO_GPU_H_
#define CHECK_VIRTIO_GPU_H_
struct virtio_gpu_rect;
#endif
