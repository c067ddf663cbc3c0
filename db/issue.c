/* SPDX-License-Identifier: Apache-2.0
 *
 * Issuing: see issue.h.
 *
 * While the vault works nothing of the new certificate is in the registry: a name or key that
 * another operation is busy with is found among the operations in progress. So a vault that fails,
 * or a crash, leaves no half device behind.
 */
#include "db/issue.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "db/authorities.h"
#include "db/enrol.h"
#include "db/hash.h"
#include "db/op_cert.h"
#include "db/registry.h"

static bool issues(const struct op_call *c)
{
	return c->enrolment || c->op == OP_DEVICE_ADD || c->op == OP_CERT_ADD;
}

/* Is another operation about to certify this key, or to add this device? The argument "name" is
 * that of a new one, an older one is "device". */
static bool busy(const struct op_call *c, struct str name, struct str spki)
{
	list_each (it, &c->s->calls) {
		const struct op_call *other = list_entry(it, struct op_call, node);
		struct str mine;
		struct str theirs;
		if (other == c || !issues(other))
			continue;
		if (spki.n && op_str(other, "spki", &theirs) && str_eq(theirs, spki))
			return true;
		if (op_str(c, "name", &mine) && op_str(other, "name", &theirs) &&
		    str_eq(theirs, name))
			return true;
	}
	return false;
}

bool issue_check_key(struct op_call *c, const char *field, struct str spki, int64_t device_id)
{
	struct sql *db = c->s->registry;
	int64_t unused;
	if (SQL_GET_INT(db, &unused, "SELECT 1 FROM blocked_key WHERE spki = ?", sql_blob(spki))) {
		op_refuse(c, OP_REFUSED, field,
			  "this key was reported compromised and is refused for ever: make a new "
			  "one");
		return false;
	}
	AUTO_QUERY q = SQL_QUERY(
		db,
		"SELECT name FROM cert WHERE spki = ? AND status IN (0, 2, 4) AND not_after > ? "
		"AND device_id IS NOT NULL AND device_id <> ?",
		sql_blob(spki), sql_int(timefloor_now(&c->s->floor)), sql_int(device_id));
	if (!sql_next(&q))
		return true;
	const struct str owner = sql_at_str(&q, 0);
	op_refuse(c, OP_CONFLICT, field, "this key belongs to device \"%.*s\": make a new one",
		  STR_ARG(owner));
	return false;
}

static bool check_request(struct op_call *c, struct str name, int64_t device_id, struct str spki)
{
	struct str csr_name;
	if (!timefloor_ok(&c->s->floor)) {
		op_refuse(c, OP_REFUSED, NULL,
			  "the clock of the gateway is wrong: set it, then ask again");
		return false;
	}
	if (spki.n == 0) {
		op_refuse(c, OP_INVALID, "csr", "csr has no public key");
		return false;
	}
	if (op_str(c, "csr-name", &csr_name) && !str_eq(csr_name, name)) {
		op_refuse(c, OP_INVALID, "csr",
			  "the common name of the request is \"%.*s\"; it must be the device name "
			  "\"%.*s\"",
			  STR_ARG(csr_name), STR_ARG(name));
		return false;
	}
	return issue_check_key(c, "csr", spki, device_id);
}

bool issue_check(struct op_call *c, struct str name, int64_t device_id)
{
	struct str spki = {NULL, 0};
	if (op_str(c, "spki", &spki) && !check_request(c, name, device_id, spki))
		return false;
	if (!busy(c, name, spki))
		return true;
	op_refuse(c, OP_CONFLICT, NULL,
		  "another request for this device or key is in progress: wait for it");
	return false;
}

/* What the vault says must be what it made. */
static bool is_consistent(const struct op_call *c, const struct body_issue_done *done)
{
	unsigned char fp[SHA256_SIZE];
	struct certificate cert;
	struct str spki = {NULL, 0};
	hash_sha256(done->der, fp);
	op_str(c, "spki", &spki);
	return str_eq(done->fingerprint, str_make(fp, sizeof(fp))) &&
	       certificate_read(done->der, &cert) == 0 && str_eq(cert.spki, spki);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_issue_done done;
	if (err || body_issue_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL,
			  "the vault does not answer: nothing was changed; try again");
		return;
	}
	if (done.status != OP_OK) {
		const enum op_status status = done.status <= OP_LOCKED ? done.status : OP_FAILED;
		op_refuse(c, status, "csr", "%.*s", STR_ARG(done.why));
		return;
	}
	if (!is_consistent(c, &done)) {
		log_error("the vault answered another certificate than it was asked for");
		op_refuse(c, OP_FAILED, NULL, "the vault answered another certificate");
		return;
	}
	c->issued(c, &done);
}

void issue_ask(struct op_call *c, struct str name, struct str uuid, issue_handler *issued)
{
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	struct body_issue_device body = {
		.name = name, .uuid = uuid, .not_after_at = (uint64_t)c->not_after};
	if (!vault) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the vault is away: try again");
		return;
	}
	op_str(c, "spki", &body.spki);
	c->issued = issued;
	LINK_ASK(vault, &c->ask, ISSUE_DEVICE, issue_device, -1, &body, OP_VAULT_MS, answered);
}

static const char *via(const struct op_call *c)
{
	if (c->enrolment)
		return enrol_via(c);
	if (c->peer == PROCESS_CTL)
		return "cli";
	return c->peer == PROCESS_ADMIN ? "ui" : "est";
}

static void put_result(struct op_call *c, const struct body_issue_done *done)
{
	AUTO_BUF pem = {0};
	AUTO_BUF roots = {0};
	certificate_pem(done->der, &pem);
	authorities_chain_pem(c->s, &pem);
	authorities_roots_pem(c->s, &roots);
	rec_object(&c->result, "certificate");
	rec_bytes(&c->result, "fingerprint", done->fingerprint);
	rec_bytes(&c->result, "serial", done->serial);
	op_put_time(&c->result, "not_before", (int64_t)done->not_before_at);
	op_put_time(&c->result, "not_after", (int64_t)done->not_after_at);
	rec_str(&c->result, "pem", buf_view(&pem));
	rec_str(&c->result, "roots_pem", buf_view(&roots));
	rec_end(&c->result);
}

void issue_store(struct op_call *c, struct str name, int64_t device_id,
		 const struct body_issue_done *done)
{
	struct sql *db = c->s->registry;
	struct certificate cert;
	AUTO_BUF detail = {0};
	AUTO_BUF after = {0};
	CHECK(certificate_read(done->der, &cert) == 0);
	const int64_t issuer = authorities_issuer(c->s, &cert);
	SQL_RUN(db,
		"INSERT INTO cert(fp, serial, ca_id, device_id, name, spki, der, profile, "
		"not_before, not_after, issued_at, issued_by, via, status) "
		"VALUES(?, ?, ?, ?, ?, ?, ?, 'device', ?, ?, ?, ?, ?, 0)",
		sql_blob(done->fingerprint), sql_blob(cert.serial),
		issuer ? sql_int(issuer) : sql_null(), sql_int(device_id), sql_str(name),
		sql_blob(cert.spki), sql_blob(done->der), sql_int(cert.not_before),
		sql_int(cert.not_after), sql_int(timefloor_now(&c->s->floor)), sql_text(c->actor),
		sql_text(via(c)));
	const int64_t id = sql_last_id(db);
	registry_put_cert(db, id, &c->change.entries);
	rec_bytes(&detail, "fingerprint", done->fingerprint);
	rec_bytes(&detail, "serial", cert.serial);
	change_event(c, EVENT_CERTIFICATE_ISSUED, device_id, name, buf_view(&detail));
	cert_put(c->s, id, &after);
	char hex[2 * SHA256_SIZE + 1];
	hex_encode(done->fingerprint.p, SHA256_SIZE, hex);
	change_revision(c, "cert", str_of(hex), STR(""), buf_view(&after));
	put_result(c, done);
}
