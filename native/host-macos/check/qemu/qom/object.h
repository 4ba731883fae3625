#ifndef CHECK_QOM_OBJECT_H_
#define CHECK_QOM_OBJECT_H_
#define OBJECT_DECLARE_SIMPLE_TYPE(type, name) typedef struct type type;
#endif
