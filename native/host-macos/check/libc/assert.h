#ifndef CHECK_ASSERT_H_
#define CHECK_ASSERT_H_
#define static_assert _Static_assert
#define assert(condition) ((void)(condition))
#endif
