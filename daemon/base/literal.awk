# SPDX-License-Identifier: Apache-2.0
# The lines of a file as the last argument of a macro, a C string: after a script that writes "NAME(..., ".
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
