//! Expressions in HAProxy's lines that read nothing from disk. Names are on an allow list. HAProxy
//! ends arguments at the first closing parenthesis, and so does this; quotes are refused because
//! they would move that end.

/// What may be asked about a request, a response or the state of HAProxy, and what may be made of
/// it. Missing on purpose: `lua.*` runs code, `map*` reads a file, `env` the environment, and
/// `http_auth*` needs a list of users elsewhere.
const NAMES: &[&str] = &[
    "add",
    "always_false",
    "always_true",
    "and",
    "avg_queue",
    "base",
    "base32",
    "base64",
    "be_conn",
    "be_conn_free",
    "be_sess_rate",
    "bool",
    "bytes",
    "concat",
    "connslots",
    "cook",
    "cook_beg",
    "cook_cnt",
    "cook_end",
    "cook_reg",
    "cook_sub",
    "cook_val",
    "cpl",
    "crc32",
    "date",
    "djb2",
    "div",
    "dst",
    "dst_port",
    "even",
    "field",
    "first",
    "hdr",
    "hdr_beg",
    "hdr_cnt",
    "hdr_dir",
    "hdr_dom",
    "hdr_end",
    "hdr_ip",
    "hdr_len",
    "hdr_reg",
    "hdr_sub",
    "hdr_val",
    "hex",
    "hostname",
    "http_date",
    "http_first_req",
    "iif",
    "int",
    "ipmask",
    "json",
    "language",
    "last",
    "length",
    "lower",
    "ltime",
    "method",
    "mod",
    "mul",
    "nbproc",
    "nbsrv",
    "neg",
    "not",
    "odd",
    "or",
    "path",
    "path_beg",
    "path_dir",
    "path_dom",
    "path_end",
    "path_len",
    "path_reg",
    "path_sub",
    "pathq",
    "query",
    "queue",
    "rand",
    "regsub",
    "req.body",
    "req.body_len",
    "req.body_param",
    "req.body_size",
    "req.cook",
    "req.cook_cnt",
    "req.cook_val",
    "req.fhdr",
    "req.fhdr_cnt",
    "req.hdr",
    "req.hdr_cnt",
    "req.hdr_ip",
    "req.hdr_names",
    "req.hdr_val",
    "req.hdrs",
    "req.len",
    "req.payload",
    "req.payload_lv",
    "req.proto_http",
    "req.rdp_cookie",
    "req.ssl_hello_type",
    "req.ssl_sni",
    "req.ver",
    "res.body",
    "res.body_len",
    "res.cook",
    "res.fhdr",
    "res.hdr",
    "res.hdr_cnt",
    "res.hdr_val",
    "res.ver",
    "sdbm",
    "sha1",
    "sha2",
    "src",
    "src_port",
    "srv_conn",
    "srv_id",
    "srv_is_up",
    "srv_name",
    "srv_queue",
    "ssl_fc",
    "ssl_fc_alpn",
    "ssl_fc_protocol",
    "ssl_fc_sni",
    "status",
    "str",
    "strcmp",
    "sub",
    "txn.status",
    "unique-id",
    "upper",
    "url",
    "url32",
    "url_beg",
    "url_dec",
    "url_dir",
    "url_dom",
    "url_end",
    "url_enc",
    "url_ip",
    "url_len",
    "url_param",
    "url_port",
    "url_reg",
    "url_sub",
    "urlp",
    "urlp_reg",
    "utime",
    "uuid",
    "var",
    "wait_end",
    "word",
    "wt6",
    "xor",
    "xxh32",
    "xxh64",
];

/// The first name of `expression` that is not on the list, or what else is wrong with it.
pub(super) fn objection(expression: &str) -> Option<String> {
    if expression.contains(['"', '\'', '\\']) {
        return Some(format!("a quote or backslash within the expression `{expression}`"));
    }
    let mut rest = expression;
    loop {
        let end = rest.find(['(', ',']).unwrap_or(rest.len());
        let name = &rest[..end];
        if !NAMES.contains(&name) {
            return Some(format!("`{name}`"));
        }
        rest = &rest[end..];
        if rest.starts_with('(') {
            let Some(close) = rest.find(')') else {
                return Some(format!("the open parenthesis of `{name}`"));
            };
            rest = &rest[close + 1..];
        }
        if rest.is_empty() {
            return None;
        }
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Some(format!("`{rest}` behind `{name}`")),
        }
    }
}

/// What is wrong with an expression that stands in `word` as `%[...]`.
pub(super) fn objection_in_format(word: &str) -> Option<String> {
    // `%{+Q}[...]` is an expression with flags.
    if word.contains("}[") {
        return Some("flags in front of an expression".to_owned());
    }
    let mut rest = word;
    while let Some(at) = rest.find("%[") {
        let inner = &rest[at + 2..];
        let Some(end) = inner.find(']') else {
            return Some("the open bracket of an expression".to_owned());
        };
        if let Some(why) = objection(&inner[..end]) {
            return Some(why);
        }
        rest = &inner[end + 1..];
    }
    None
}

/// What is wrong with conditions: `if { path_beg /x } !METH_GET`. Names of others' ACLs only refer.
pub(super) fn objection_in_condition(words: &[String]) -> Option<String> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.trim_start_matches('!').starts_with('{') {
            continue;
        }
        if word.trim_start_matches('!') != "{" {
            return Some(format!("`{word}` without a space behind the brace"));
        }
        let group: Vec<&String> = words.by_ref().take_while(|word| *word != "}").collect();
        let (expression, patterns) = group.split_first()?;
        if let Some(why) = objection(expression).or_else(|| objection_in_patterns(patterns)) {
            return Some(why);
        }
    }
    None
}

/// What is wrong with what an expression is compared with: `-f FILE` and `-M` read files.
pub(super) fn objection_in_patterns(words: &[&String]) -> Option<String> {
    const FLAGS: [&str; 4] = ["-i", "-m", "-n", "--"];
    let flag = |word: &&&String| word.starts_with('-') && word.parse::<i64>().is_err();
    let wrong = words.iter().filter(flag).find(|word| !FLAGS.contains(&word.as_str()));
    wrong.map(|word| format!("`{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_on_the_list_pass_and_whatever_reads_or_runs_does_not() {
        for fine in
            ["path", "req.hdr(host),lower", "src,ipmask(24)", "path,regsub(a,b,g)", "var(txn.x)"]
        {
            assert_eq!(objection(fine), None, "{fine}");
        }
        for wrong in [
            "lua.run",
            "path,lua.run",
            "path,map(/etc/passwd)",
            "path,map_beg(/etc/passwd)",
            "env(SECRET)",
            "path,regsub((a),lua.run",
            "path,regsub(a)lua.run",
            "path,regsub(\"a)\",lua.run)",
            "path(",
            "",
        ] {
            assert!(objection(wrong).is_some(), "{wrong}");
        }
        assert_eq!(objection_in_format("a %[path,lower] b %[src]"), None);
        assert!(objection_in_format("%[src] %[lua.x]").is_some());
        assert!(objection_in_format("%{+Q}[lua.x] %[src]").is_some());
    }

    #[test]
    fn conditions_name_no_file() {
        let said = |text: &str| {
            objection_in_condition(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(said("if { path_beg -i /a } !METH_GET || { src 10.0.0.0/8 }"), None);
        for wrong in [
            "if { path -f /etc/passwd }",
            "if { path -M -f /etc/passwd }",
            "if { path,lua.x a }",
            "if !{ lua.x }",
            "if {path -f /etc/passwd }",
        ] {
            assert!(said(wrong).is_some(), "{wrong}");
        }
    }
}
