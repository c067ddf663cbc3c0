/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange with the gateway: HTTP/1.1 over the control socket, a connection each.
 */
#include "ctl/ctl.h"
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

unsigned request_send(const struct invocation *in, const char *method, const char *path,
		      json_t *body, json_t **answer)
{
	AUTO_SECRET out = {0};
	AUTO_SECRET reply = {0};
	struct str text;
	char *json = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const size_t n = json ? strlen(json) : 0;
	AUTO_FD fd = dial(in->socket_path);
	if (fd < 0) {
		free(json);
		return not_dialled(in->socket_path, answer);
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
	if (!send_all(fd, buf_view(&out)) || !receive_all(fd, &reply)) {
		errno = errno ? errno : ECONNRESET;
		return unreachable(in->socket_path);
	}
	const unsigned status = split_answer(&reply, &text);
	*answer = status ? json_loadb(text.p, text.n, 0, NULL) : NULL;
	if (!*answer) {
		print_error("the gateway's answer cannot be read (is it stopping?)");
		return 0;
	}
	return status;
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
