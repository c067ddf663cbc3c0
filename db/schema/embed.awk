# SPDX-License-Identifier: Apache-2.0
# One migration as a row for db/migrate.c: MIGRATION(REGISTRY, 1, "text"), from NNNN_registry.sql.
# daemon/base/literal.awk writes the text.
NR == 1 {
	n = split(FILENAME, part, "/")
	file = part[n]
	database = toupper(substr(file, 6, length(file) - 9))
	printf "MIGRATION(%s, %d,\n", database, substr(file, 1, 4) + 0
}
