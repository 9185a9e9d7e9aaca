//! Answers of HAProxy 2.6, verbatim as far as they are read, and the parsed result.

use super::*;

const INFO: &str = "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nNbproc: 1\nPid: 14040\n\
    Stopping: 0\nStart_time_sec: 1795445427\n";
const HEAD: &str = "# pxname,svname,qcur,scur,stot,econ,eresp,status,bck,iid,last_chk,hrsp_1xx,\
    hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,srv_abrt,addr,cookie,mode,algo,\n";
const SERVERS: [&str; 4] = [
    "web,fb-web-1,1,2,9,1,1,UP 1/2,0,4,\"L7OK, in 1 ms\",0,5,1,1,1,0,0,127.0.0.1:8080,,http,,\n",
    "web,fb-web-2,0,0,0,0,0,DRAIN,0,4,,0,0,0,0,0,0,0,[::1]:8080,,http,,\n",
    "web,legacy,0,0,0,0,0,MAINT (via a/b),1,4,,0,0,0,0,0,0,0,,,http,,\n",
    "web,BACKEND,3,6,20,2,2,UP,0,4,,0,10,1,1,4,0,1,,,http,leastconn,\n",
];

fn answer() -> String {
    format!("{INFO}\n{HEAD}{}\n", SERVERS.concat())
}

fn parsed(answer: &str) -> Result<Option<Snapshot>, HaproxyError> {
    Snapshot::parse("web", 4, answer)
}

#[test]
fn a_look_is_the_process_the_backend_and_its_servers() {
    let seen = parsed(&answer()).unwrap().unwrap();
    assert_eq!((seen.process.pid, seen.process.takes_servers()), (14_040, true));
    // 4 answers of 5xx, of which HAProxy made those of failed connects itself, and 1 broken body.
    let Backend { arrivals, errors, queued, failures, .. } = seen.backend;
    assert_eq!((arrivals, errors, queued), (20, 5, 3));
    assert_eq!((failures.unreachable, failures.by_replicas), (2, 3));
    let first = &seen.servers["fb-web-1"];
    assert_eq!((first.admin, first.in_flight, first.served), (Admin::Ready, 3, 8));
    assert_eq!(seen.servers["fb-web-2"].admin, Admin::Drain);
    assert_eq!(seen.servers["fb-web-2"].address, Some("[::1]:8080".parse().unwrap()));
    let legacy = &seen.servers["legacy"];
    assert_eq!((legacy.admin, legacy.address, legacy.is_backup), (Admin::Maintenance, None, true));
}

#[test]
fn without_http_connections_are_counted() {
    let text = answer().replace(",http,", ",tcp,");
    let seen = parsed(&text).unwrap().unwrap();
    assert_eq!((seen.backend.errors, seen.servers["fb-web-1"].served), (4, 9));
}

#[test]
fn no_part_of_an_answer_passes_for_the_whole() {
    let whole = answer();
    for end in 0..whole.len() {
        assert!(parsed(&whole[..end]).is_err(), "{:?}", &whole[..end]);
    }
}

#[test]
fn a_counter_that_is_missing_is_not_zero() {
    for column in ["stot", "qcur", "scur", "hrsp_5xx", "srv_abrt", "status"] {
        let text = answer().replacen(&format!(",{column},"), ",unheard_of,", 1);
        assert!(parsed(&text).is_err(), "{column}");
    }
    assert!(parsed(&answer().replace("Pid: ", "Pit: ")).is_err());
}

#[test]
fn another_backend_of_the_same_number_is_not_taken_for_ours() {
    assert_eq!(Snapshot::parse("shop", 4, &answer()).unwrap(), None);
    assert_eq!(parsed(&format!("{INFO}\nNo such proxy.\n\n")).unwrap(), None);
    assert_eq!(parsed(&format!("{INFO}\n{HEAD}\n")).unwrap(), None);
}

#[test]
fn a_process_that_is_stopping_is_not_believed() {
    let said = parsed(&answer().replace("Stopping: 0", "Stopping: 1")).unwrap_err().to_string();
    assert!(said.contains("14040 is stopping"), "{said}");
}

#[test]
fn a_backend_is_found_by_name() {
    let table = format!("{HEAD}{}{}\n", SERVERS[3].replace("web,", "shop,"), SERVERS[3]);
    assert_eq!(find_backend("web", &table).unwrap(), 4);
    let missing = find_backend("wbe", &table).unwrap_err();
    assert_eq!(missing.to_string(), "HAProxy has no backend `wbe`");
    assert!(matches!(find_backend("web", "nonsense"), Err(HaproxyError::Garbled { .. })));
}

#[test]
fn servers_are_made_at_run_time_since_2_6() {
    let takes = |version: &str| {
        Process { version: version.to_owned(), ..Process::default() }.takes_servers()
    };
    assert!(takes("2.6") && takes("2.6.12-1+deb12u4") && takes("2.10-dev3") && takes("3.0.1"));
    assert!(!takes("2.5.14") && !takes("2.4.22") && !takes("1.8.27") && !takes("unknown"));
}

#[test]
fn a_restarted_container_is_another_epoch_although_its_process_has_the_same_number() {
    let process = |started_s| Process { pid: 8, started_s, ..Process::default() };
    assert_ne!(process(100).epoch(), process(101).epoch());
}

#[test]
fn a_server_that_haproxy_calls_down_says_why() {
    const HEAD: &str = "# pxname,svname,status,check_status,check_code,check_desc,last_chk,\
        agent_status,qcur,scur,stot,econ,eresp,hrsp_5xx,srv_abrt,mode\n";
    let fault = |status: &str, check: &str| {
        let servers = format!("web,a,{status},{check},,0,0,0,0,0,0,0,tcp\n");
        let stat = format!("{HEAD}{servers}web,BACKEND,UP,,,,,,0,0,0,0,0,0,0,tcp\n\n");
        let seen = Snapshot::parse("web", 4, &format!("{INFO}\n{stat}")).unwrap().unwrap();
        seen.servers["a"].fault.clone()
    };
    let words = "\"Detected 10 consecutive errors, last one was: Wrong http response\"";
    let observed = "HAProxy detected 10 consecutive errors, last one was: Wrong http response";
    let hana = format!("HANA,,Health analyze,{words}");
    assert_eq!(fault("DOWN", &hana), Some(Fault::Answers(observed.to_owned())));
    let wrong = "L7STS,501,Layer7 wrong status,Not Implemented";
    let said = "HAProxy's check failed: L7STS (layer7 wrong status, 501, Not Implemented)";
    assert_eq!(fault("DOWN 1/2", wrong), Some(Fault::Check(said.to_owned())));
    assert_eq!(fault("DOWN 1/2", "L4OK,,Layer4 check passed,"), Some(Fault::Unsaid));
    for well in ["UP", "UP 1/3", "no check", "DRAIN", "MAINT"] {
        assert_eq!(fault(well, wrong), None, "{well}");
    }
    assert!(matches!(fault("NOLB", "L7OKC,404,,"), Some(Fault::Check(_))));
}
