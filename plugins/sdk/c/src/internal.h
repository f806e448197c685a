/* What the files of this library know of each other. */
#ifndef PELTON_INTERNAL_H
#define PELTON_INTERNAL_H

#include <pelton.h>
#include <stdarg.h>

pelton_text pelton_vformat(const char *format, va_list arguments);

/* Ends the life of all that pelton_alloc gave out. */
void pelton_free_all(void);

#endif
