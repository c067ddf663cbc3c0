/* SPDX-License-Identifier: Apache-2.0
 *
 * The readers of other brokers' files on anything: the first byte chooses the reader, or two of
 * them with what they found put together. Nothing but what the input says is read (no_files), and
 * every rule and device that comes out passes the gateway's own judgement.
 */
#include "certs/csr.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_devices(const struct migration *m)
{
	const char *name;
	json_t *device;
	json_object_foreach(m->devices, name, device)
		CHECK(device_name_check(str_of(name), NULL) == 0);
}

static void check_report(const struct migration *m)
{
	size_t i;
	const json_t *line;
	json_array_foreach(m->report, i, line)
		CHECK(json_string_value(json_object_get(line, "note")) != NULL);
}

/* mosquitto.conf, and behind a zero byte the NGINX configuration before it. */
static void read_both(struct migration *m, struct str text)
{
	const char *zero = text.n ? memchr(text.p, 0, text.n) : NULL;
	const size_t first = zero ? (size_t)(zero - text.p) : text.n;
	AUTO_BUF conf = {0};
	mosquitto_parse(m, "m", (struct str){text.p, first}, 0);
	if (zero)
		nginx_parse(m, "n", str_make(zero + 1, text.n - first - 1));
	listeners_plan(m);
	settings_plan(m);
	listeners_judge(m, first % 2);
	conf_write(m, "m", &conf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct migration m;
	if (n == 0)
		return 0;
	const struct str text = str_make(data + 1, n - 1);
	migration_init(&m);
	m.no_files = true;
	switch (data[0]) {
	case 'm':
		read_both(&m, text);
		break;
	case 'n':
		nginx_parse(&m, "n", text);
		break;
	case 'p':
		passwd_parse(&m, "p", text);
		break;
	case 'd':
		dynsec_parse(&m, "d", text);
		break;
	default:
		m.by_certificate = m.anonymous = data[0] & 1;
		acl_parse(&m, "a", text);
	}
	check_devices(&m);
	check_report(&m);
	migration_fini(&m);
	return 0;
}
