# SPDX-License-Identifier: Apache-2.0
# One example of a bundle as a row for ctl/examples.c: EXAMPLE("name", "text").
NR == 1 {
	n = split(FILENAME, part, "/")
	sub(/\.in$/, "", part[n])
	printf "EXAMPLE(\"%s\",\n", part[n]
}
{
	if (/\\/) {
		print FILENAME ": a backslash" > "/dev/stderr"
		exit 1
	}
	gsub(/"/, "\\\"")
	printf "\t\"%s\\n\"\n", $0
}
END {
	print ")"
}
