//! Lines that are allowed in the file, and attempts at others.

use flyball_engine::Hint as _;

use super::*;

fn said(line: &str) -> Option<String> {
    verify(line).err().map(|error| error.to_string())
}

#[test]
fn lines_of_an_ordinary_backend_may_stand_there() {
    for line in [
        "",
        "# a remark",
        "mode http",
        "balance leastconn",
        "balance hdr(host)",
        "balance uri depth 3",
        "balance hash req.hdr(host),lower",
        "hash-type consistent",
        "option redispatch 1",
        "no option http-server-close",
        "option httpchk GET /healthz",
        "http-check send meth GET uri /healthz ver HTTP/1.1 hdr host a",
        "http-check expect status 200",
        "retries 3",
        "retry-on conn-failure empty-response response-timeout",
        "http-request disable-l7-retry if !METH_GET",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        "http-request set-var(txn.host) req.hdr(host),lower",
        "http-request deny deny_status 429 if { src 10.0.0.0/8 } { path_beg -i /admin }",
        "http-request return status 200 content-type text/plain string \"a b\" if { path /up }",
        "http-response set-header Strict-Transport-Security \"max-age=63072000\"",
        "acl admin path_beg /admin",
        "timeout queue 5s",
        "cookie SRV insert indirect nocache",
        "stick-table type ip size 1m expire 10m",
        "stick on src",
        "default-server inter 2s maxconn 20 ssl verify none",
        "server activator 127.0.0.1:9000 backup",
        "server flyball 127.0.0.1:1 disabled",
        "log global",
        "no log",
        "compression algo gzip",
        "redirect scheme https code 301 if !{ ssl_fc }",
    ] {
        assert_eq!(said(line), None, "{line}");
    }
}

#[test]
fn what_opens_a_section_reads_a_file_or_runs_a_program_may_not() {
    for line in [
        "program x",
        "\"program\" x",
        "'program' x",
        "pro\"gra\"m x",
        "\\x70rogram x",
        "  \"backend\" other",
        "\"\" program x",
        ".if 1",
        "global",
        "command /bin/sh",
        "errorfile 503 /etc/shadow",
        "http-error status 503 file /etc/shadow",
        "http-request return status 200 content-type text/plain file /etc/shadow",
        "http-request return status 200 content-type text/plain \"file\" /etc/shadow",
        "http-request return status 200 content-type text/plain lf-file /etc/shadow",
        "http-request deny errorfile /etc/shadow",
        "http-request lua.run",
        "http-request set-header X %[lua.run]",
        "http-request set-header X %[path,map(/etc/passwd)]",
        "http-request set-header X \"$SECRET\"",
        "http-request set-header X %[env(SECRET)]",
        "http-request set-var(txn.x) lua.run",
        "http-request set-map(/etc/x) a b",
        "http-request use-service lua.x",
        "http-request capture req.hdr(host) len 10",
        "http-request deny if { path -f /etc/passwd }",
        "acl x path -f /etc/passwd",
        "acl x path,map_str(/etc/passwd) -m found",
        "external-check command /bin/sh",
        "option external-check",
        "filter spoe engine x config /etc/shadow",
        "load-server-state-from-file global",
        "server-state-file-name /etc/shadow",
        "server x unix@/run/docker.sock",
        "server x /run/docker.sock",
        "server x fd@3",
        "server x ${HOME}:80",
        "server x 127.0.0.1:1 ssl ca-file /etc/shadow",
        "server x 127.0.0.1:1 ssl crt /etc/shadow verify none",
        "server x 127.0.0.1:1 ssl verify required",
        "server x 127.0.0.1:1 source 10.0.0.1 usesrc clientip",
        "default-server ssl ca-file /etc/shadow",
        "server-template fb 9 127.0.0.1:1",
        "log 10.0.0.1:514 local0",
        "log stdout format raw local0",
        "log /dev/log local0",
        "balance hash lua.x",
        "balance lua.x(a)",
        "stick on lua.x",
        "use-fcgi-app x",
        "stats enable",
        "stats admin if TRUE",
        "source 0.0.0.0 usesrc clientip",
        "dispatch 10.0.0.1:80",
        "email-alert mailers x",
        "no program",
        "a \"b",
        "balance leastconn\rprogram x",
    ] {
        let said = said(line).unwrap_or_else(|| panic!("{line} is allowed"));
        assert!(said.contains("` is not allowed: "), "{line}: {said}");
    }
}

#[test]
fn the_line_and_what_is_wrong_with_it_are_said() {
    let error = verify("balance leastconn\n\"program\" x\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the line `\\\"program\\\" x` is not allowed: `program` is not one of the allowed \
         directives"
    );
    assert!(error.hint().unwrap().contains("haproxy.cfg"));
}
