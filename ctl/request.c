/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange with the gateway: HTTP/1.1 over the control socket, a connection each.
 */
#include "ctl/ctl.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 128 * MiB, FORBIDDEN = 403 };

/* What helps depends on whose socket it is: the package's, or one that somebody named. */
static unsigned unreachable(const char *path)
{
	const char *const why = strerror(errno);
	if (strcmp(path, DEFAULT_SOCKET) == 0)
		print_error("the gateway does not answer at %s: %s\n"
			    "Does it run? \"systemctl status gatehouse\" tells, \"journalctl -u "
			    "gatehouse\" says why not.\n"
			    "Another gateway than the one of the package: --socket PATH, or "
			    "GATEHOUSE_SOCKET=PATH.",
			    path, why);
	else
		print_error("the gateway does not answer at %s: %s\n"
			    "Does it run, and with this socket? It is the setting gateway.run-dir "
			    "with /control.sock;\nthe one of the package is %s.",
			    path, why, DEFAULT_SOCKET);
	return 0;
}

/* The kernel refuses what the gateway would: it is told as its refusal is. */
static unsigned not_dialled(const char *path, json_t **answer)
{
	if (errno != EACCES)
		return unreachable(path);
	*answer = json_object();
	json_object_set_new(*answer, "detail",
			    json_sprintf("you may not use %s: run this as root, or join the group "
					 "gatehouse-admin",
					 path));
	return FORBIDDEN;
}

static int dial(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(to.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(to.sun_path, path, strlen(path));
	AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return TAKE_FD(fd);
}

static bool send_all(int fd, struct str s)
{
	while (s.n) {
		const ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s.p += n;
		s.n -= (size_t)n;
	}
	return true;
}

static bool receive_all(int fd, struct buf *in)
{
	for (;;) {
		char *at = buf_reserve(in, 16 * KiB);
		const ssize_t n = recv(fd, at, 16 * KiB, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || in->n > ANSWER_MAX)
			return n == 0;
		in->n += (size_t)n;
	}
}

/* "HTTP/1.1 200 OK\r\n...\r\n\r\nbody": status and body. 0 when it is no such thing. */
static unsigned split_answer(struct buf *in, struct str *body)
{
	const struct str all = buf_view(in);
	const char *end = memmem(all.p, all.n, "\r\n\r\n", 4);
	uint64_t status;
	if (!end || all.n < 12 || memcmp(all.p, "HTTP/1.1 ", 9) != 0 ||
	    str_u64((struct str){all.p + 9, 3}, 599, &status))
		return 0;
	*body = (struct str){end + 4, all.n - (size_t)(end + 4 - all.p)};
	return (unsigned)status;
}

/* A connection on which the request went out; -1: *status says how it ended, 0 after a message. */
static int ask(const struct invocation *in, const char *method, const char *path, json_t *body,
	       json_t **answer, unsigned *status)
{
	AUTO_SECRET out = {0};
	char *json = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const size_t n = json ? strlen(json) : 0;
	AUTO_FD fd = dial(in->socket_path);
	if (fd < 0) {
		free(json);
		*status = not_dialled(in->socket_path, answer);
		return -1;
	}
	buf_printf(&out, "%s %s HTTP/1.1\r\nHost: gatehouse\r\nConnection: close\r\n", method,
		   path);
	if (json)
		buf_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", n);
	buf_puts(&out, "\r\n");
	buf_put(&out, json, n);
	if (json)
		secret_wipe(json, n);
	free(json);
	errno = 0;
	if (send_all(fd, buf_view(&out)))
		return TAKE_FD(fd);
	errno = errno ? errno : ECONNRESET;
	*status = unreachable(in->socket_path);
	return -1;
}

/* The rest of an answer that has begun; 0 after a message. */
static unsigned take_answer(const struct invocation *in, int fd, struct buf *reply, json_t **answer)
{
	struct str text;
	if (!receive_all(fd, reply)) {
		errno = errno ? errno : ECONNRESET;
		return unreachable(in->socket_path);
	}
	const unsigned status = split_answer(reply, &text);
	*answer = status ? json_loadb(text.p, text.n, 0, NULL) : NULL;
	if (*answer)
		return status;
	print_error("the gateway's answer cannot be read (is it stopping?)");
	return 0;
}

unsigned request_send(const struct invocation *in, const char *method, const char *path,
		      json_t *body, json_t **answer)
{
	AUTO_SECRET reply = {0};
	unsigned status;
	AUTO_FD fd = ask(in, method, path, body, answer, &status);
	return fd < 0 ? status : take_answer(in, fd, &reply, answer);
}

/* As many bytes as the head announces: one that ends early is no file. */
static bool copy_file(int from, struct str begin, uint64_t size, int to)
{
	char part[16 * KiB];
	uint64_t done = begin.n;
	bool ok = begin.n <= size && fd_write(to, begin) == 0;
	while (ok && done < size) {
		const ssize_t n = recv(from, part, sizeof(part), 0);
		if (n < 0 && errno == EINTR)
			continue;
		ok = n > 0 && fd_write(to, str_make(part, (size_t)n)) == 0;
		done += n > 0 ? (uint64_t)n : 0;
	}
	return ok && done == size;
}

/* The head, and what came with it of the body. */
static bool receive_head(int fd, struct buf *in, struct str *body)
{
	do {
		char *at = buf_reserve(in, 16 * KiB);
		const ssize_t n = recv(fd, at, 16 * KiB, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || in->n > 64 * KiB)
			return false;
		in->n += (size_t)n;
	} while (!split_answer(in, body));
	return true;
}

static bool announced(struct str head, uint64_t *size)
{
	static const char field[] = "\r\nContent-Length: ";
	const char *at = memmem(head.p, head.n, field, sizeof(field) - 1);
	if (!at)
		return false;
	const char *from = at + sizeof(field) - 1;
	const char *end = memchr(from, '\r', head.n - (size_t)(from - head.p));
	return end && str_u64(str_make(from, (size_t)(end - from)), INT64_MAX, size) == 0;
}

unsigned request_file(const struct invocation *in, const char *method, const char *path, int to,
		      json_t **answer)
{
	AUTO_SECRET reply = {0};
	struct str body;
	uint64_t size;
	unsigned status;
	AUTO_FD fd = ask(in, method, path, NULL, answer, &status);
	if (fd < 0)
		return status;
	if (!receive_head(fd, &reply, &body)) {
		errno = errno ? errno : ECONNRESET;
		return unreachable(in->socket_path);
	}
	status = split_answer(&reply, &body);
	if (status >= 300)
		return take_answer(in, fd, &reply, answer);
	errno = 0;
	if (announced(str_make(reply.p, reply.n - body.n), &size) && copy_file(fd, body, size, to))
		return status;
	print_error("the file did not come whole: %s",
		    errno ? strerror(errno) : "the gateway closed the connection");
	return 0;
}

static void encode(struct buf *out, const char *s)
{
	for (; *s; s++) {
		const unsigned char c = (unsigned char)*s;
		const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				   (c >= 'a' && c <= 'z') || strchr("-._~", c);
		if (plain)
			buf_putc(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

static void encode_value(struct buf *out, const json_t *value)
{
	if (json_is_string(value))
		encode(out, json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(out, "%lld", (long long)json_integer_value(value));
	else
		buf_puts(out, json_is_true(value) ? "true" : "false");
}

char *request_path(const char *path, json_t *args)
{
	AUTO_BUF out = {0};
	for (const char *open; (open = strchr(path, '{'));) {
		const char *close = strchr(open, '}');
		AUTO_CHAR field = str_dup((struct str){open + 1, (size_t)(close - open - 1)});
		buf_put(&out, path, (size_t)(open - path));
		encode_value(&out, json_object_get(args, field));
		json_object_del(args, field);
		path = close + 1;
	}
	buf_puts(&out, path);
	return mem_strdup(buf_cstr(&out));
}

int request_command(struct invocation *in, json_t **answer)
{
	const struct ctl_command *c = in->command;
	const bool query = strcmp(c->method, "GET") == 0 || strcmp(c->method, "DELETE") == 0;
	AUTO_CHAR path = request_path(c->path, in->args);
	AUTO_BUF target = {0};
	const char *key;
	json_t *value;
	char sep = '?';
	buf_puts(&target, path);
	if (query) {
		json_object_foreach(in->args, key, value)
		{
			buf_putc(&target, sep);
			encode(&target, key);
			buf_putc(&target, '=');
			encode_value(&target, value);
			sep = '&';
		}
	}
	const unsigned status =
		request_send(in, c->method, buf_cstr(&target), query ? NULL : in->args, answer);
	if (status == 0)
		return EXIT_UNREACHABLE;
	if (status >= 300)
		return print_problem(status, *answer);
	if (!in->json && !in->utc)
		times_localise(*answer);
	return EXIT_OK;
}
