/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store and the others may ask of the vault, in any form and order, on an authority of its
 * own: each is answered at most once and well-formed or refused as malformed, a refusal has its
 * sentence, whatever is issued is the certificate of a device and nothing more, exactly one
 * generation is in use, and the authority can be opened again afterwards.
 *
 * Input: per message its kind (1 byte), the length of its body (16 bits, little-endian) and the
 * body; with SIGN_LIST the entries follow in the same form; or the kind TLS_SIGN and a scheme (16
 * bits) with data to sign. An authority of 32 zeros is the one in use: its fingerprint is new each
 * time.
 */
#include "certs/ca_service.h"
#include "certs/crl.h"
#include "certs/issue_service.h"
#include "certs/leaf.h"
#include "certs/sign.h"
#include "certs/statement.h"
#include "certs/statement_service.h"
#include "daemon/base/build.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "tests/unit/scratch.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MESSAGES_MAX = 12, TLS_SIGN = 5, SIGN_LIST = 6 };

struct vault {
	struct scratch dir;
	struct keystore *ks;
	struct issuer *issuer;
	struct issue_service issue;
	struct ca_service ca;
	struct loop *loop;
	struct link *link;
	int far;
};

static struct servers *servers; /* without certificates: their keys take long to make */
static struct signer *signer;
static uint32_t server_key;

static void changed(struct ca_service *s)
{
	(void)s;
}

static void trouble(struct issue_service *s, int err, const char *why)
{
	(void)s;
	(void)err;
	(void)why;
}

static void ending(struct issue_service *s, const char *why)
{
	(void)s;
	CHECK(why[0]);
}

static void broken(struct link *l, const char *why, bool misbehaved)
{
	(void)l;
	(void)why;
	(void)misbehaved;
}

static struct issue_time now(void)
{
	return (struct issue_time){clock_wall(), clock_mono_ms()};
}

static void make_servers(void)
{
	static struct scratch dir;
	static struct keystore *ks;
	static struct issuer *owner;
	struct why why;
	if (servers)
		return;
	log_init("fuzz", LOG_LEVEL_ERROR - 1);
	scratch_make(&dir);
	CHECK(keystore_open(dir.path, &ks, &why) == 0);
	CHECK(issuer_open(ks, build_time(), now(), &owner, &why) == 0);
	CHECK(servers_open(ks, &servers, &why) == 0);
	signer = signer_new(owner);
	CHECK(signer_add(signer, PROCESS_BROKER, STR(""), servers_key(servers, SLOT_BROKER_P256),
			 &server_key, &why) == 0);
	scratch_remove(&dir);
}

static void open_vault(struct vault *v)
{
	static const link_handler none[MSG_COUNT];
	const struct link_config config = {
		.self = PROCESS_VAULT,
		.peer = PROCESS_STORE,
		.handler = none,
		.broken = broken,
	};
	struct why why;
	int pair[2];
	make_servers();
	*v = (struct vault){0};
	scratch_make(&v->dir);
	CHECK(keystore_open(v->dir.path, &v->ks, &why) == 0);
	keystore_seal_with(v->ks, STR("0123456789abcdef0123456789abcdef"));
	CHECK(issuer_open(v->ks, build_time(), now(), &v->issuer, &why) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
	v->loop = loop_new();
	v->far = pair[1];
	v->link = link_new(v->loop, pair[0], &config);
	v->issue = (struct issue_service){
		.issuer = v->issuer, .loop = v->loop, .trouble = trouble, .ending = ending};
	issue_service_init(&v->issue);
	v->ca = (struct ca_service){.issuer = v->issuer, .servers = servers, .changed = changed};
}

static void close_vault(struct vault *v)
{
	struct why why;
	struct issuer *again;
	issue_service_forget(&v->issue, v->link);
	link_free(v->link);
	loop_turn(v->loop, 0);
	loop_free(v->loop);
	issuer_free(v->issuer);
	CHECK(issuer_open(v->ks, build_time(), now(), &again, &why) == 0);
	issuer_free(again);
	keystore_free(v->ks);
	close(v->far);
	scratch_remove(&v->dir);
}

/* ---- answers ---- */

static void check_issued(const struct body_issue_done *b)
{
	struct leaf leaf;
	struct why why;
	if (b->status != OP_OK)
		return;
	CHECK(leaf_read(b->der, &leaf) == 0 && leaf_lint(&leaf, LEAF_STRICT, &why) == 0);
}

static void count_active(struct str list)
{
	struct cur c = cur_of(list);
	struct str entry;
	unsigned active = 0;
	while (entries_next(&c, &entry)) {
		struct body_ca_cert ca;
		CHECK(body_ca_cert_get(entry, &ca) == 0);
		active += ca.kind == CA_ROOT && ca.state == CA_ACTIVE;
	}
	CHECK(cur_ok(&c) && active == 1);
}

/* What was signed is a list that our own reader takes, up to the question who signed it. */
static void check_list(const struct record *r)
{
	struct body_sign_crl_done b;
	struct crl_set *set;
	struct why why;
	AUTO_BUF der = {0};
	CHECK(body_sign_crl_done_get(r->body, &b) == 0);
	CHECK(b.status == OP_OK || b.why.n > 0);
	CHECK((b.status == OP_OK) == (r->fd >= 0));
	if (b.status != OP_OK)
		return;
	CHECK(b.next_update_at - b.this_update_at <= STATEMENT_LIFE);
	CHECK(memfd_read(r->fd, 16 * MiB, &der) == 0);
	CHECK(crl_set_read(buf_view(&der), STR(""), &set, &why) == ERR_NOT_FOUND);
}

static void check_answer(const struct record *r)
{
	struct body_issue_done issued;
	struct body_ca_get_done got;
	struct body_ca_change_done done;
	struct body_ca_check_done checked;
	struct body_sign_ocsp_done response;
	if (r->type == MSG_ISSUE_DONE) {
		CHECK(body_issue_done_get(r->body, &issued) == 0);
		CHECK(issued.status == OP_OK || issued.why.n > 0);
		check_issued(&issued);
	} else if (r->type == MSG_CA_GET_DONE) {
		CHECK(body_ca_get_done_get(r->body, &got) == 0);
		count_active(got.certificates);
	} else if (r->type == MSG_CA_CHANGE_DONE) {
		CHECK(body_ca_change_done_get(r->body, &done) == 0);
		CHECK(done.status == OP_OK || done.why.n > 0);
		if (done.status == OP_OK)
			count_active(done.certificates);
	} else if (r->type == MSG_SIGN_CRL_DONE) {
		check_list(r);
	} else if (r->type == MSG_SIGN_OCSP_DONE) {
		CHECK(body_sign_ocsp_done_get(r->body, &response) == 0);
		CHECK((response.status == OP_OK) == (response.der.n > 0));
		CHECK(response.status == OP_OK || response.why.n > 0);
	} else if (r->type == MSG_CA_CHECK_DONE) {
		CHECK(body_ca_check_done_get(r->body, &checked) == 0);
		CHECK(checked.status == OP_OK || checked.why.n > 0);
	}
}

static void check_answers(struct vault *v, uint64_t last_id)
{
	static unsigned char buf[FRAME_MAX];
	uint64_t answered = 0;
	struct record r;
	while (frame_receive(v->far, buf, &r) == 0) {
		if (r.type != MSG_HELLO) {
			CHECK(r.id <= last_id && !(answered & 1ull << r.id));
			answered |= 1ull << r.id;
			check_answer(&r);
		}
		frame_done(&r);
	}
}

/* ---- questions ---- */

static void sign(struct cur *c)
{
	AUTO_BUF signature = {0};
	struct why why;
	const uint16_t scheme = cur_u16le(c);
	const struct str data = cur_bytes(c, cur_u8(c));
	const enum process asker = scheme & 1 ? PROCESS_BROKER : PROCESS_ADMIN;
	const int err = signer_tls_sign(signer, asker, server_key, scheme, data, &signature, &why);
	CHECK(err || (asker == PROCESS_BROKER && signature.n > 0));
}

static struct str authority(const struct vault *v, struct str wanted)
{
	static const char zeros[FINGERPRINT_LEN];
	return str_eq(wanted, str_make(zeros, sizeof(zeros)))
		       ? str_make(issuer_issuing(v->issuer)->fingerprint, FINGERPRINT_LEN)
		       : wanted;
}

static void ask_ocsp(struct vault *v, struct record *r)
{
	static unsigned char bytes[FRAME_BODY_MAX];
	struct body_sign_ocsp b;
	if (body_sign_ocsp_get(r->body, &b) == 0) {
		struct out o = out_make(bytes, sizeof(bytes));
		b.authority = authority(v, b.authority);
		body_sign_ocsp_put(&o, &b);
		r->body = str_make(bytes, o.need);
	}
	statement_service_ocsp(v->issuer, v->link, r);
}

static void ask_list(struct vault *v, struct record *r, struct str entries)
{
	static unsigned char bytes[FRAME_BODY_MAX];
	struct body_sign_crl b;
	if (body_sign_crl_get(r->body, &b) == 0) {
		struct out o = out_make(bytes, sizeof(bytes));
		b.authority = authority(v, b.authority);
		body_sign_crl_put(&o, &b);
		r->body = str_make(bytes, o.need);
	}
	AUTO_FD fd = memfd_make("entries", entries);
	r->fd = fd;
	statement_service_list(v->issuer, v->link, r);
}

static void ask(struct vault *v, unsigned kind, struct record *r)
{
	switch (kind) {
	case 0:
		issue_service_device(&v->issue, v->link, r);
		break;
	case 1:
		ca_service_get(&v->ca, v->link, r);
		break;
	case 2:
		ca_service_change(&v->ca, v->link, r);
		break;
	case 3:
		ca_service_check(&v->ca, v->link, r);
		break;
	case 4:
		ask_ocsp(v, r);
		break;
	default:
		break;
	}
}

static bool ask_next(struct vault *v, struct cur *c, uint64_t id)
{
	static const enum message types[] = {MSG_ISSUE_DEVICE, MSG_CA_GET,    MSG_CA_CHANGE,
					     MSG_CA_CHECK,     MSG_SIGN_OCSP, MSG_TLS_SIGN,
					     MSG_SIGN_CRL};
	if (!cur_left(c))
		return false;
	const unsigned kind = cur_u8(c) % (SIGN_LIST + 1);
	if (kind == TLS_SIGN) {
		sign(c);
		return cur_ok(c);
	}
	struct record r = {.type = types[kind], .id = id, .fd = -1};
	r.body = cur_bytes(c, cur_u16le(c));
	const struct str entries = kind == SIGN_LIST ? cur_bytes(c, cur_u16le(c)) : STR("");
	if (!cur_ok(c))
		return false;
	if (kind == SIGN_LIST)
		ask_list(v, &r, entries);
	else
		ask(v, kind, &r);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct vault v;
	struct cur c = cur_make(data, n);
	uint64_t id = 0;
	open_vault(&v);
	while (id < MESSAGES_MAX && ask_next(&v, &c, ++id))
		loop_turn(v.loop, 0);
	loop_turn(v.loop, 0);
	check_answers(&v, id);
	close_vault(&v);
	return 0;
}
