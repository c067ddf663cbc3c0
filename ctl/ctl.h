/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse, the command line: table of commands, their arguments as JSON, the request, the answer
 * on the terminal. A program of its own with one thread; it speaks the HTTP API over the control
 * socket.
 */
#pragma once

#include "daemon/base/str.h"

#include <jansson.h>

#define DEFAULT_SOCKET "/run/gatehouse/control.sock"

/* Exit status, as documented in gatehouse(1). */
enum ctl_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,  /* the gateway could not do it */
	EXIT_USAGE = 2,   /* wrong command line, or a wrong argument */
	EXIT_REFUSED = 3, /* refused by policy, or your level does not allow it */
	EXIT_UNREACHABLE =
		4, /* the gateway, or a process of it, does not answer; or it is locked */
	EXIT_NOT_FOUND = 5,
	EXIT_CONFLICT = 6, /* exists already, or in use */
};

enum ctl_show { OBJECT, LIST, MESSAGE, NONE };
enum ctl_need { OPTIONAL, REQUIRED };
enum ctl_kind { TEXT, MANY, NUMBER, DURATION, ON, OFF, LOCAL, SWITCH };

struct ctl_param {
	const char
		*name; /* of an option without "--", or the placeholder of a positional argument */
	const char *field; /* in the request; "" = for the command itself */
	bool positional;
	enum ctl_need need;
	enum ctl_kind kind;
	const char *arg;
	const char *text;
};

struct invocation;

struct ctl_command {
	const char *noun;
	const char *verb; /* "" when the noun is the command */
	const char *method;
	const char *path;
	enum ctl_show show;
	int (*run)(struct invocation *in);
	const char *summary;
	const struct ctl_param *param; /* ends with a NULL name */
	const char *example;
};

struct ctl_noun {
	const char *noun;
	const char *group; /* under which title the help shows it */
	const char *text;  /* what it is about */
};

/* "--", "-" before a name of one letter, "" before a positional argument. */
static inline const char *option_dashes(const struct ctl_param *p)
{
	return p->positional ? "" : p->name[1] ? "--" : "-";
}

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_commands_n;
extern const struct ctl_noun ctl_nouns[];
extern const size_t ctl_nouns_n;

struct invocation {
	const struct ctl_command *command;
	const char *socket_path;
	bool json;
	bool utc;      /* times as the API has them, not in the zone of this machine */
	json_t *args;  /* fields of the request */
	json_t *local; /* LOCAL and SWITCH options by name: text or true */
};

const char *invocation_local(const struct invocation *in,
			     const char *name); /* NULL when not given */
bool invocation_switch(const struct invocation *in, const char *name);

/* options.c: fills args and local. 0, or ERR_INVALID after a message. */
int options_take(struct invocation *in, int argc, char **argv);

/* A field of an answer: "" when it is absent or no text; 0 when it is no number. */
static inline const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static inline long long number_of(const json_t *object, const char *name)
{
	return (long long)json_integer_value(json_object_get(object, name));
}

/* What stands behind a noun. */
static inline const char *plural(long long n)
{
	return n == 1 ? "" : "s";
}

/* request.c: one exchange with the gateway. The status of HTTP, or 0 when it could not be reached
 * (a message was printed); 403 also when the caller may not open the socket. *answer belongs to the
 * caller, or is NULL. */
unsigned request_send(const struct invocation *in, const char *method, const char *path,
		      json_t *body, json_t **answer);
/* The same without a body, whose good answer is a file: it is written to fd, and *answer is NULL.
 * What could not be written is told, and 0. */
unsigned request_file(const struct invocation *in, const char *method, const char *path, int fd,
		      json_t **answer);
/* Replaces {field} in a path by the argument, percent-encoded, and takes it out of args. The caller
 * frees the result. */
char *request_path(const char *path, json_t *args);
/* The same as one call for the command's own method and path: GET and DELETE put args into the
 * query. Prints the problem when the answer is one. Exit status. */
int request_command(struct invocation *in, json_t **answer);

/* say.c: beside the answer. With --json errors and notes are objects on standard error, of which
 * "detail" is the error and "note" the note; with --quiet notes, "none" and what was done are left
 * out. */
void say_mode(bool json, bool quiet);
bool says_json(void);
bool says_done(void);                  /* not --quiet */
void say_object(const json_t *object); /* a line on standard error */
void print_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_empty(void); /* that a list has nothing in it */
void print_done(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* times.c: the times of an answer of the API, in place, in the zone of this machine. */
void times_localise(json_t *answer);

/* print.c */
void print_object(const json_t *object);
void print_list(const struct ctl_command *command, const json_t *items);
/* A table that stands in other answers under this name: "processes", "listeners" ... */
void print_rows(const char *name, const json_t *items);
/* "3 d 4 h", "2 h 5 min", "17 s": the two largest units. */
void print_duration(struct buf *out, json_int_t seconds);
void print_json_line(const json_t *value);
void print_event(const json_t *event);
void print_log_line(const json_t *line);
void print_trace(const json_t *line);
void print_message(const json_t *message);
/* "error: ..." with the field; exit status for that HTTP status. */
int print_problem(unsigned status, const json_t *problem);
/* The same about one of many, "line 3" or a device's name; NULL: about nothing special. */
int print_problem_about(const char *about, unsigned status, const json_t *problem);

/* bundle.c: everything a device needs to connect, in a directory. */
struct bundle {
	const char *dir;
	const char *device;
	const char *host;          /* NULL: chosen from the listeners in status */
	const json_t *certificate; /* object of the answer: pem, roots_pem, not_after */
	const json_t *status;
	bool p12;              /* also as PKCS#12 */
	bool legacy;           /* in the form that old programs read */
	struct str passphrase; /* of it */
	const char *zip;       /* also as one file of that name; NULL: not */
};
/* Makes the directory, which must be empty or absent, with the key in it: before the gateway is
 * asked, so that no certificate is issued for a key that cannot be kept. EXIT_* after a message. */
int bundle_begin(const char *dir, struct str key_pem, bool *made);
void bundle_abandon(const char *dir, bool made); /* takes the key, and what was made, away again */
int bundle_write(const struct bundle *b);        /* the other files. EXIT_* */
/* A name or an address, and nothing that a shell or a URL would take for something else. */
bool bundle_is_host(const char *host);

/* password.c: puts a password of at least min bytes into the request: from the terminal (standard
 * input), or the first line of a file. EXIT_* after a message. */
int password_take(struct invocation *in, const char *file, size_t min);

/* cmd_code.c: the answer of code.add with the commands for the device; --host is read from `in`. */
int code_show(const struct invocation *in, json_t *code);

/* cmd_cert_import.c: puts the certificate of the file that the argument names into the request, as
 * PEM, and sends it. EXIT_* after a message. */
int run_with_certificate(struct invocation *in, const char *arg);

/* cmd_acl_check.c: the lines of the file that --with or the argument names as the field "with".
 * False: a message was printed.
 */
bool draft_take(struct invocation *in);

/* cmd_plain.c: what became of a code, claim or request. False: it is none. */
bool show_enrolment(const struct ctl_command *c, const json_t *answer);

/* cmd_revision.c: what a list of differences says, and how settings that wait are confirmed. */
void show_differences(const json_t *answer);
void show_held(const json_t *answer);

int run_plain(struct invocation *in);
int run_status(struct invocation *in);
int run_state_export(struct invocation *in);
int run_state_apply(struct invocation *in);
int run_revision_show(struct invocation *in);
int run_revision_revert(struct invocation *in);
int run_config_confirm(struct invocation *in);
int run_config_reload(struct invocation *in);
int run_setup(struct invocation *in);
int run_admin_password(struct invocation *in);
int run_admin_set(struct invocation *in);
int run_token_add(struct invocation *in);
int run_ping(struct invocation *in);
int run_trace(struct invocation *in);
int run_publish(struct invocation *in);
int run_watch(struct invocation *in);
int run_security_check(struct invocation *in);
int run_security_mute(struct invocation *in);
int run_device_import(struct invocation *in);
int run_device_add(struct invocation *in);
int run_device_set(struct invocation *in);
int run_cert_add(struct invocation *in);
int run_claim_add(struct invocation *in);
int run_claim_allow(struct invocation *in);
int run_enrol_csv(struct invocation *in);
int run_enrol_devices(struct invocation *in);
int run_request_decide(struct invocation *in);
int run_code_add(struct invocation *in);
int run_cert_import(struct invocation *in);
int run_ca_crl(struct invocation *in);
int run_cert_revoke(struct invocation *in);
int run_ca_init(struct invocation *in);
int run_ca_show(struct invocation *in);
int run_ca_export_root(struct invocation *in);
int run_ca_lock(struct invocation *in);
int run_ca_unlock(struct invocation *in);
int run_ca_rollover(struct invocation *in);
int run_ca_csr(struct invocation *in);
int run_ca_import(struct invocation *in);
int run_ca_compromise(struct invocation *in);
int run_ca_check(struct invocation *in);
int run_ca_backup(struct invocation *in);
int run_backup_set(struct invocation *in);
int run_backup_remove(struct invocation *in);
int run_backup_add(struct invocation *in);
int run_ca_restore(struct invocation *in);
int run_acl(struct invocation *in);
int run_acl_check(struct invocation *in);
int run_acl_preview(struct invocation *in);
int run_acl_apply(struct invocation *in);
int run_learn_start(struct invocation *in);
int run_learn_stop(struct invocation *in);
int run_learn_show(struct invocation *in);
int run_learn_propose(struct invocation *in);
int run_learn_apply(struct invocation *in);
int run_event_list(struct invocation *in);
int run_log(struct invocation *in);
int run_factory_reset(struct invocation *in);
int run_event_acknowledge(struct invocation *in);
int run_firewall_print(struct invocation *in);
int run_firewall_apply(struct invocation *in);
int run_firewall_remove(struct invocation *in);
int run_migrate(struct invocation *in);
int run_setup_code(struct invocation *in);
