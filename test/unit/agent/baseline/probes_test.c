/* SPDX-License-Identifier: Apache-2.0 */
/* Each probe, before a machine of files: what passes, fails, is skipped, cannot be judged. */
#include "machine.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>

#define PASSES(rule, reason) machine_expect(m, rule, BASELINE_PASS, reason)
#define FAILS(rule, reason) machine_expect(m, rule, BASELINE_FAIL, reason)
#define SKIPS(rule, reason) machine_expect(m, rule, BASELINE_SKIP, reason)
#define ERRS(rule, reason) machine_expect(m, rule, BASELINE_ERROR, reason)

static void a_file_is_judged_by_mode_owner_kind_and_being_there(void **state)
{
    struct machine *m = *state;
    machine_file(
        m, "/etc/passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
    machine_file(m, "/etc/group", "root:x:0:\nshadow:x:42:\nann:x:1000:\n");
    machine_file(m, "/etc/shadow", "");
    machine_mode(m, "/etc/shadow", 0640);
    machine_owner(m, "/etc/shadow", 0, 42);
    PASSES("{'probe':'file','path':'/etc/shadow','mode_at_most':'0640','owner':'root',"
           "'group':['root','shadow']}",
        "/etc/shadow is as it is asked for");
    machine_mode(m, "/etc/shadow", 0644);
    FAILS("{'probe':'file','path':'/etc/shadow','mode_at_most':'0640'}",
        "/etc/shadow has mode 0644, 0640 is allowed");
    machine_mode(m, "/etc/shadow", 0400);
    PASSES("{'probe':'file','path':'/etc/shadow','mode_at_most':'0640'}", NULL);
    FAILS("{'probe':'file','path':'/etc/shadow','group':'root'}",
        "/etc/shadow belongs to the group shadow (group id 42), root is asked for");
    machine_owner(m, "/etc/shadow", 1000, 4711);
    FAILS("{'probe':'file','path':'/etc/shadow','owner':'root'}",
        "/etc/shadow belongs to ann (user id 1000), root is asked for");
    FAILS("{'probe':'file','path':'/etc/shadow','group':['root','shadow']}",
        "the group without a name (group id 4711), root or shadow is asked for");
    FAILS("{'probe':'file','path':'/etc/shadow','type':'directory'}", "is no directory");
    PASSES("{'probe':'file','path':'/etc','type':'directory'}", NULL);
    FAILS("{'probe':'file','path':'/etc/cron.allow','mode_at_most':'0600'}", "does not exist");
    SKIPS("{'probe':'file','path':'/etc/cron.allow','mode_at_most':'0600','missing':'skip'}",
        "does not exist");
    PASSES("{'probe':'file','path':'/etc/cron.allow','mode_at_most':'0600','missing':'pass'}",
        "does not exist");
    PASSES("{'probe':'file','path':'/etc/cron.allow','exists':false}", NULL);
    FAILS("{'probe':'file','path':'/etc/shadow','exists':false}", "/etc/shadow exists");
    FAILS("{'probe':'file','path':'/etc/cron.allow','exists':true}", NULL);
}

static void patterns_of_paths_find_what_a_shell_would(void **state)
{
    struct machine *m = *state;
    machine_file(m, "/etc/passwd", "");
    machine_file(m, "/etc/group", "");
    machine_file(m, "/etc/ssh/key_a", "");
    machine_file(m, "/etc/ssh/key_b", "");
    machine_file(m, "/etc/ssh/.key_c", "");
    machine_mode(m, "/etc/ssh/key_a", 0600);
    machine_mode(m, "/etc/ssh/key_b", 0644);
    machine_mode(m, "/etc/ssh/.key_c", 0666);
    FAILS("{'probe':'file','paths':['/etc/ssh/*'],'mode_at_most':'0600'}", "key_b has mode 0644");
    machine_mode(m, "/etc/ssh/key_b", 0600);
    PASSES("{'probe':'file','paths':['/etc/ssh/*'],'mode_at_most':'0600'}", NULL);
    PASSES("{'probe':'file','paths':['/e*/s?h/key_[ab]'],'exists':true}", "key_a exists");
    PASSES("{'probe':'file','paths':['/etc/none/*'],'mode_at_most':'0600'}", NULL);
    FAILS("{'probe':'file','paths':['/etc/none/*'],'exists':true}", NULL);
    SKIPS("{'probe':'file','paths':['/none/*'],'mode_at_most':'0600','missing':'skip'}", NULL);
}

static void links_stay_inside_the_root(void **state)
{
    struct machine *m = *state;
    machine_file(m, "/etc/passwd", "");
    machine_file(m, "/etc/group", "");
    machine_file(m, "/usr/share/target", "inside\n");
    machine_link(m, "/etc/absolute", "/usr/share/target");
    machine_link(m, "/etc/out", "/../../../../../../../../etc/passwd");
    machine_link(m, "/etc/loop", "/etc/loop");
    PASSES("{'probe':'line','paths':['/etc/absolute'],'pattern':'^inside$','present':true}", NULL);
    PASSES("{'probe':'line','paths':['/etc/out'],'pattern':'root','present':false}", NULL);
    ERRS("{'probe':'file','path':'/etc/loop','mode_at_most':'0644'}", "cannot be looked at");
    ERRS("{'probe':'line','paths':['/etc/loop'],'pattern':'a','present':false}", "cannot be read");
}

#define MOUNTS                                                                                     \
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"                                               \
    "23 22 0:5 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw,size=1k\n"                              \
    "24 22 0:6 / /with\\040blank rw shared:1 - ext4 /dev/sdb ro\n"                                 \
    "25 22 0:7 / /auto rw - autofs systemd-1 rw\n"

static void a_mount_is_found_with_its_options(void **state)
{
    struct machine *m = *state;
    ERRS("{'probe':'mount','path':'/tmp'}", "does not exist");
    machine_file(m, "/proc/1/mountinfo", MOUNTS "short line\n\n");
    PASSES("{'probe':'mount','path':'/dev/shm'}", "/dev/shm is a file system of its own");
    PASSES("{'probe':'mount','path':'/dev/shm','option':'nodev'}", "with nodev");
    FAILS("{'probe':'mount','path':'/dev/shm','option':'noexec'}", "without noexec");
    FAILS("{'probe':'mount','path':'/tmp'}", "/tmp is no file system of its own");
    FAILS("{'probe':'mount','path':'/tmp','option':'nodev'}", NULL);
    FAILS("{'probe':'mount','path':'/auto'}", NULL);
    /* The one on top counts. */
    machine_file(
        m, "/proc/1/mountinfo", MOUNTS "30 22 0:9 / /dev/shm rw,noexec - tmpfs tmpfs rw\n");
    PASSES("{'probe':'mount','path':'/dev/shm','option':'noexec'}", NULL);
    FAILS("{'probe':'mount','path':'/dev/shm','option':'nodev'}", NULL);
}

static void a_kernel_setting_holds_now_and_at_the_next_start(void **state)
{
    struct machine *m = *state;
    static const char now[] = "{'probe':'sysctl','key':'net.ipv4.conf.all.rp_filter','equals':'1'}";
    static const char also[] = "{'probe':'sysctl','key':'net.ipv4.conf.all.rp_filter','one_of':"
                               "['1','2'],'configured':true}";
    SKIPS(now, "this kernel has no setting net.ipv4.conf.all.rp_filter");
    machine_file(m, "/proc/sys/net/ipv4/conf/all/rp_filter", "0\n");
    FAILS(now, "is 0");
    machine_file(m, "/proc/sys/net/ipv4/conf/all/rp_filter", "1\n");
    PASSES(now, "is 1");
    FAILS(also, "no file of sysctl.d sets it");
    machine_file(m, "/usr/lib/sysctl.d/50-default.conf",
        "# net.ipv4.conf.all.rp_filter = 0\n-net.ipv4.conf.*.rp_filter = 2\n");
    PASSES(also, "50-default.conf sets");
    machine_file(m, "/etc/sysctl.d/60-own.conf", "net/ipv4/conf/all/rp_filter=0\n");
    FAILS(also, "/etc/sysctl.d/60-own.conf sets net.ipv4.conf.all.rp_filter to 0");
    /* The same name in /etc hides the one in /usr/lib; a later name wins. */
    machine_file(m, "/etc/sysctl.d/50-default.conf", "");
    machine_file(m, "/run/sysctl.d/70.conf", "net.ipv4.conf.all.rp_filter = 1");
    PASSES(also, "/run/sysctl.d/70.conf");
    /* An assignment by name wins over one by pattern, wherever that stands. */
    machine_file(m, "/run/sysctl.d/80.conf", "net.ipv4.conf.*.rp_filter = 0");
    PASSES(also, "/run/sysctl.d/70.conf");
    /* /etc/sysctl.conf is read where systemd is not. */
    machine_file(m, "/etc/sysctl.conf", "net.ipv4.conf.all.rp_filter = 0\n");
    FAILS(also, "/etc/sysctl.conf");
    machine_file(m, "/usr/lib/systemd/systemd", "x");
    PASSES(also, NULL);
    machine_link(m, "/etc/sysctl.d/80.conf", "/dev/null");
    PASSES(also, NULL);
    machine_folder(m, "/etc/sysctl.d/90.conf");
    ERRS(also, "90.conf cannot be read");
}

static void a_kernel_module_is_loaded_built_in_barred_or_not_there(void **state)
{
    struct machine *m = *state;
    static const char rule[] =
        "{'probe':'kernel_module','module':'usb-storage','state':'disabled'}";
    SKIPS(rule, "the modules of the kernel 6.1.0-test are not on this system");
    machine_file(m, "/lib/modules/6.1.0-test/modules.dep", "kernel/fs/udf/udf.ko: kernel/a.ko\n");
    PASSES(rule, "the kernel has no module usb-storage");
    machine_file(m, "/lib/modules/6.1.0-test/modules.dep",
        "kernel/drivers/usb/storage/usb-storage.ko.xz: kernel/a.ko\n");
    FAILS(rule, "usb-storage can be loaded");
    machine_file(
        m, "/etc/modprobe.d/a.conf", "#blacklist usb_storage\ninstall usb_storage /sbin/x\n");
    FAILS(rule, "can be loaded");
    machine_file(m, "/etc/modprobe.d/a.conf", "install usb_storage /bin/false\n");
    PASSES(rule, "/etc/modprobe.d/a.conf keeps usb-storage");
    machine_file(m, "/etc/modprobe.d/a.conf", "blacklist usb_storage\n");
    PASSES(rule, NULL);
    machine_file(m, "/proc/modules", "usb_storage 81920 0 - Live 0x0\n");
    FAILS(rule, "usb-storage is loaded");
    machine_file(m, "/proc/modules", "ext4 81920 0 - Live 0x0\n");
    machine_file(m, "/lib/modules/6.1.0-test/modules.builtin", "kernel/x/usb-storage.ko\n");
    FAILS(rule, "built into the kernel");
    machine_remove(m, "/proc/modules");
    machine_folder(m, "/proc/modules");
    ERRS(rule, "/proc/modules cannot be read");
}

static void a_package_is_found_in_each_kind_of_database(void **state)
{
    struct machine *m = *state;
    static const char none[] = "{'probe':'package','name':'telnet','installed':false}";
    static const char some[] = "{'probe':'package','names':['ntp','chrony'],'installed':true}";
    SKIPS(none, "no database");
    machine_file(m, "/var/lib/dpkg/status",
        "Package: telnet\nStatus: deinstall ok config-files\n\n"
        "Package: chrony\nStatus: install ok installed\nDescription: x\n Package: telnet\n");
    PASSES(none, "the package telnet is not installed");
    PASSES(some, "the package chrony is installed");
    machine_file(m, "/var/lib/dpkg/status", "Package: telnet\nStatus: install ok installed\n");
    FAILS(none, "the package telnet is installed");
    FAILS(some, "the package ntp or the like is not installed");
    machine_remove(m, "/var/lib/dpkg/status");
    machine_file(m, "/lib/apk/db/installed", "C:Q1\nP:chrony\nV:4\n\nC:Q2\nP:telnetd\n\n");
    PASSES(some, NULL);
    PASSES(none, NULL);
    machine_remove(m, "/lib/apk/db/installed");
    machine_file(m, "/usr/lib/opkg/status", "Package: ntp\nStatus: install user installed\n\n");
    PASSES(some, NULL);
    machine_folder(m, "/var/lib/dpkg/status");
    ERRS(none, "/var/lib/dpkg/status cannot be read");
}

static void a_service_is_enabled_by_the_links_of_its_init(void **state)
{
    struct machine *m = *state;
    static const char on[] = "{'probe':'service','name':'cron','enabled':true}";
    static const char off[] =
        "{'probe':'service','names':['cron','rpcbind.socket'],'enabled':false}";
    SKIPS(on, "how services start on this system is not known");
    machine_file(m, "/usr/lib/systemd/system/cron.service", "[Unit]\n");
    FAILS(on, "cron is not enabled");
    PASSES(off, NULL);
    machine_link(m, "/etc/systemd/system/multi-user.target.wants/cron.service",
        "/usr/lib/systemd/system/cron.service");
    PASSES(on, "cron is enabled by /etc/systemd/system/multi-user.target.wants/cron.service");
    FAILS(off, NULL);
    machine_link(m, "/etc/systemd/system/cron.service", "/dev/null");
    FAILS(on, "cron.service is masked");
    machine_clear(m);
    /* By another name. */
    machine_file(m, "/usr/lib/systemd/system/cron.service", "[Unit]\n");
    machine_link(m, "/etc/systemd/system/crond.service", "/usr/lib/systemd/system/cron.service");
    PASSES(on, "crond.service");
    machine_clear(m);
    /* SysV counts where systemd has no unit of that name. */
    machine_file(m, "/etc/init.d/cron", "");
    machine_link(m, "/etc/rc2.d/S01cron", "../init.d/cron");
    PASSES(on, "/etc/rc2.d/S01cron");
    machine_file(m, "/lib/systemd/system/cron.service", "[Unit]\n");
    FAILS(on, NULL);
    machine_clear(m);
    machine_file(m, "/etc/runlevels/default/cron", "");
    PASSES(on, NULL);
    machine_clear(m);
    machine_folder(m, "/lib/systemd");
    machine_file(m, "/etc/systemd/system/sockets.target.wants/rpcbind.socket", "");
    FAILS(off, "rpcbind.socket is enabled");
}

static void a_keyword_of_sshd_has_its_first_value(void **state)
{
    struct machine *m = *state;
    static const char root[] = "{'probe':'sshd','keyword':'PermitRootLogin','one_of':['no'],'"
                               "default':'prohibit-password'}";
    static const char tries[] =
        "{'probe':'sshd','keyword':'MaxAuthTries','at_most':4,'default':'6'}";
    static const char ciphers[] = "{'probe':'sshd','keyword':'Ciphers','none_of_words':['3des-cbc']"
                                  ",'default':'aes,3des-cbc'}";
    static const char banner[] =
        "{'probe':'sshd','keyword':'Banner','matches':'^/','default':'none'}";
    SKIPS(root, "/etc/ssh/sshd_config does not exist");
    machine_file(m, "/etc/ssh/sshd_config", "# PermitRootLogin no\n");
    FAILS(root, "PermitRootLogin (by default) is prohibit-password");
    FAILS(tries, "is 6, at most 4 is allowed");
    machine_file(m, "/etc/ssh/sshd_config",
        "permitrootlogin NO\nPermitRootLogin yes\nMaxAuthTries=3\nBanner \"/etc/issue net\"\n");
    PASSES(root, "(/etc/ssh/sshd_config) is NO");
    PASSES(tries, "is 3");
    PASSES(banner, NULL);
    machine_file(m, "/etc/ssh/sshd_config", "MaxAuthTries three\n");
    FAILS(tries, "is no number");
    FAILS(banner, "none");
    machine_file(m, "/etc/ssh/sshd_config",
        "Include /etc/ssh/sshd_config.d/*.conf other.conf\nPermitRootLogin yes\n");
    FAILS(root, NULL);
    machine_file(m, "/etc/ssh/sshd_config.d/a.conf", "Match User ann\nPermitRootLogin yes\n");
    machine_file(m, "/etc/ssh/other.conf", "PermitRootLogin no\n");
    PASSES(root, "/etc/ssh/other.conf");
    machine_file(m, "/etc/ssh/sshd_config", "Match all\nPermitRootLogin no\n");
    FAILS(root, "by default");
    FAILS(ciphers, "has 3des-cbc");
    machine_file(m, "/etc/ssh/sshd_config", "Ciphers aes, other\n");
    PASSES(ciphers, NULL);
    machine_file(m, "/etc/ssh/sshd_config", "Ciphers +other\n");
    FAILS(ciphers, NULL);
    machine_file(m, "/etc/ssh/sshd_config", "Ciphers -*-cbc\n");
    PASSES(ciphers, NULL);
    machine_file(m, "/etc/ssh/sshd_config", "Include sshd_config\n");
    ERRS(root, "includes too many files, or itself");
}

static void a_pam_module_is_found_through_includes(void **state)
{
    struct machine *m = *state;
    static const char has[] = "{'probe':'pam','services':['common-password','system-auth'],"
                              "'type':'password','module':'pam_pwquality.so'}";
    static const char longer[] =
        "{'probe':'pam','services':['common-password'],'type':'password','module':"
        "'pam_pwquality.so','argument':{'name':'minlen','at_least':14}}";
    static const char strict[] =
        "{'probe':'pam','services':['common-password'],'type':'password','module':"
        "'pam_unix.so','argument':{'name':'nullok','present':false}}";
    SKIPS(has, "no PAM service common-password or the like");
    machine_file(m, "/etc/pam.d/common-password",
        "# password required pam_pwquality.so\nauth required pam_pwquality.so\n");
    FAILS(has, "the service common-password does not have pam_pwquality.so");
    machine_file(m, "/etc/pam.d/common-password",
        "password [success=1 default=ignore] /lib/security/pam_pwquality.so retry=3 \\\n "
        "minlen=12\n"
        "-password required pam_unix.so nullok\n");
    PASSES(has, NULL);
    FAILS(longer, "minlen of pam_pwquality.so in the service common-password is 12");
    FAILS(strict, "has nullok");
    machine_file(m, "/etc/pam.d/common-password",
        "@include more\npassword include other\npassword required pam_unix.so sha512\n");
    machine_file(m, "/etc/pam.d/more", "password required pam_pwquality.so\n");
    FAILS(longer, "has no minlen");
    machine_file(m, "/etc/pam.d/other", "password required pam_pwquality.so minlen=14\n");
    PASSES(longer, NULL);
    PASSES(strict, NULL);
    machine_file(m, "/etc/pam.d/system-auth", "");
    FAILS(has, "the service system-auth does not have");
    machine_file(m, "/etc/pam.d/more", "@include common-password\n");
    ERRS(has, "includes too many files, or itself");
}

static void a_value_of_login_defs_is_judged(void **state)
{
    struct machine *m = *state;
    static const char days[] = "{'probe':'login_defs','key':'PASS_MAX_DAYS','at_most':365}";
    static const char method[] = "{'probe':'login_defs','key':'ENCRYPT_METHOD','equals':'SHA512'}";
    SKIPS(days, "/etc/login.defs does not exist");
    machine_file(m, "/etc/login.defs", "#PASS_MAX_DAYS 90\n");
    FAILS(days, "/etc/login.defs does not set PASS_MAX_DAYS");
    machine_file(m, "/etc/login.defs", "PASS_MAX_DAYS\t99999\nENCRYPT_METHOD SHA512\n");
    FAILS(days, "PASS_MAX_DAYS in /etc/login.defs is 99999, at most 365 is allowed");
    PASSES(method, NULL);
    machine_file(m, "/etc/login.defs", "PASS_MAX_DAYS 90\nENCRYPT_METHOD MD5\n");
    PASSES(days, NULL);
    FAILS(method, "is MD5, SHA512 is asked for");
    machine_file(m, "/etc/login.defs", "PASS_MAX_DAYS many\n");
    FAILS(days, "no number");
    machine_remove(m, "/etc/login.defs");
    machine_folder(m, "/etc/login.defs");
    ERRS(days, "cannot be read");
}

static void a_line_is_found_by_pattern_and_its_number_judged(void **state)
{
    struct machine *m = *state;
    static const char has[] =
        "{'probe':'line','paths':['/etc/a.d/*','/etc/a'],'pattern':'^good','present':true}";
    static const char bad[] = "{'probe':'line','paths':['/etc/a'],'pattern':'bad','present':false,"
                              "'ignore_comments':true}";
    static const char number[] =
        "{'probe':'line','paths':['/etc/a'],'pattern':'^n *= *([0-9a-z]+)',"
        "'present':true,'at_most':5,'at_least':1}";
    FAILS(has, "/etc/a.d/* does not exist");
    PASSES(bad, "does not exist");
    machine_file(m, "/etc/a", "x\ngood\n# bad\n");
    PASSES(has, "/etc/a, line 2, is the one that is asked for");
    PASSES(bad, NULL);
    FAILS(number, NULL);
    machine_file(m, "/etc/a", "n = 9\nn = 3\nbad\n");
    PASSES(number, "is 3");
    FAILS(bad, "/etc/a, line 3, is the one that must not be there");
    machine_file(m, "/etc/a", "n = 3\nn = 9\n");
    FAILS(number, "the value in /etc/a, line 2, is 9, at most 5 is allowed");
    machine_file(m, "/etc/a", "n = 0");
    FAILS(number, "at least 1 is asked for");
    machine_file(m, "/etc/a", "n = x\n");
    FAILS(number, "is no number");
    machine_remove(m, "/etc/a");
    machine_folder(m, "/etc/a");
    ERRS(bad, "cannot be read");
}

#define TCP_HEAD "  sl  local_address rem_address   st tx_queue\n"

static void a_port_is_judged_by_who_can_reach_it(void **state)
{
    struct machine *m = *state;
    static const char mail[] =
        "{'probe':'port','protocol':'tcp','port':25,'beyond_loopback':false}";
    static const char time[] =
        "{'probe':'port','protocol':'udp','port':123,'beyond_loopback':false}";
    ERRS(mail, "does not exist");
    machine_file(m, "/proc/1/net/tcp",
        TCP_HEAD "   0: 0100007F:0019 00000000:0000 0A 00000000:00000000\n"
                 "   1: 0000A8C0:0019 00000000:0000 01 00000000:00000000\nrubbish\n 3: x y\n");
    PASSES(mail, "nobody listens at tcp port 25");
    machine_file(m, "/proc/1/net/tcp6",
        TCP_HEAD "   0: 00000000000000000000000001000000:0019 0:0000 0A 0:0\n"
                 "   1: 0000000000000000FFFF00000100007F:0019 0:0000 0A 0:0\n");
    PASSES(mail, NULL);
    machine_file(m, "/proc/1/net/tcp6",
        TCP_HEAD "   0: 00000000000000000000000000000000:0019 0:0000 0A 0:0\n");
    FAILS(mail, "somebody listens at tcp port 25 for other machines");
    PASSES(time, NULL);
    machine_file(m, "/proc/1/net/udp", TCP_HEAD "  9: 00000000:007B 00000000:0000 07 0:0\n");
    FAILS(time, NULL);
}

static void rules_are_put_together_as_they_say(void **state)
{
    struct machine *m = *state;
    machine_file(m, "/yes", "");
    machine_link(m, "/loop", "/loop");
#define YES "{'probe':'file','path':'/yes','exists':true}"
#define NO "{'probe':'file','path':'/no','exists':true}"
#define SKIP "{'probe':'file','path':'/no','mode_at_most':'0644','missing':'skip'}"
#define BROKEN "{'probe':'file','path':'/loop','exists':true}"
    machine_file(m, "/etc/passwd", "");
    machine_file(m, "/etc/group", "");
    PASSES("{'all':[" YES "," YES "]}", NULL);
    FAILS("{'all':[" YES "," NO "," BROKEN "]}", "/no does not exist");
    ERRS("{'all':[" YES "," BROKEN "]}", "/loop");
    PASSES("{'all':[" YES "," SKIP "]}", NULL);
    SKIPS("{'all':[" SKIP "," SKIP "]}", "/no does not exist; /no does not exist");
    PASSES("{'any':[" NO "," BROKEN "," YES "]}", "/yes exists");
    ERRS("{'any':[" NO "," BROKEN "]}", "/loop");
    FAILS("{'any':[" NO "," SKIP "]}", NULL);
    SKIPS("{'any':[" SKIP "]}", NULL);
    FAILS("{'not':" YES "}", "/yes exists");
    PASSES("{'not':{'not':" YES "}}", NULL);
    SKIPS("{'not':" SKIP "}", NULL);
    ERRS("{'not':" BROKEN "}", NULL);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, machine_setup, machine_teardown)
    const struct CMUnitTest tests[] = {
        T(a_file_is_judged_by_mode_owner_kind_and_being_there),
        T(patterns_of_paths_find_what_a_shell_would),
        T(links_stay_inside_the_root),
        T(a_mount_is_found_with_its_options),
        T(a_kernel_setting_holds_now_and_at_the_next_start),
        T(a_kernel_module_is_loaded_built_in_barred_or_not_there),
        T(a_package_is_found_in_each_kind_of_database),
        T(a_service_is_enabled_by_the_links_of_its_init),
        T(a_keyword_of_sshd_has_its_first_value),
        T(a_pam_module_is_found_through_includes),
        T(a_value_of_login_defs_is_judged),
        T(a_line_is_found_by_pattern_and_its_number_judged),
        T(a_port_is_judged_by_who_can_reach_it),
        T(rules_are_put_together_as_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
