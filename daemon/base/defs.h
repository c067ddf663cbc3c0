/* SPDX-License-Identifier: Apache-2.0
 *
 * The words that every file uses: sizes, attributes, scope-bound ownership.
 *
 * AUTO(type) declares a pointer that is freed when it leaves scope; TAKE(p) hands it on and leaves
 * NULL behind. A type opts in with DEFINE_AUTO(type, function) beside its _free or _unref.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KiB                             1024u
#define MiB                             (1024u * 1024u)

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))

#define PRINTF_LIKE(fmt, args)          __attribute__((format(printf, fmt, args)))
#define MUST_CHECK                      __attribute__((warn_unused_result))
#define NORETURN                        __attribute__((noreturn))
#define UNUSED                          __attribute__((unused))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define AUTO(type)                      __attribute__((cleanup(type##_auto))) struct type *
#define DEFINE_AUTO(type, fn)                           \
	static inline void type##_auto(struct type **p) \
	{                                               \
		if (*p)                                 \
			fn(*p);                         \
	}
#define TAKE(p)                            \
	__extension__({                    \
		__typeof__(p) take_ = (p); \
		(p) = NULL;                \
		take_;                     \
	})

/* A local file descriptor that is closed when it leaves scope; TAKE_FD hands it on. */
void fd_auto(int *fd);
#define AUTO_FD __attribute__((cleanup(fd_auto))) int
#define TAKE_FD(fd)               \
	__extension__({           \
		int take_ = (fd); \
		(fd) = -1;        \
		take_;            \
	})
