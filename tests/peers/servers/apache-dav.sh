#!/usr/bin/env bash
# Apache with mod_dav, a server of WebDAV, on loopback.
#
#   eval "$(tests/peers/servers/apache-dav.sh start DIR)"   sets DAG_TEST_DAV and DAG_TEST_MIRROR
#   tests/peers/servers/apache-dav.sh stop DIR
#
# The server is Debian's package `apache2-bin`. /dav stores, for the user `dag` with the password in
# DAG_TEST_DAV; /mirror gives the same files to everybody, and only gives.
source "$(dirname "$0")/loopback.sh"

start_it() {
    local apache=/usr/sbin/apache2 port
    if [[ ! -x $apache ]]; then
        apt-get update -qq >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends apache2-bin >&2
    fi
    read -r port < <(free_ports 1)
    mkdir -p "$dir/data/dav" "$dir/locks"
    # The password `secret-word`, hashed, so that nothing beside the server is needed.
    printf 'dag:{SHA}%s\n' "$(printf secret-word | openssl dgst -sha1 -binary | base64)" > "$dir/passwords"
    local user=$(id -un) group=$(id -gn) switch=
    if [[ $user == root ]]; then
        # The server refuses to run as root.
        user=www-data group=www-data
        chown -R www-data:www-data "$dir/data" "$dir/locks"
        chmod a+x "$dir"
        switch="User $user
Group $group"
    fi
    cat > "$dir/apache.conf" <<CONF
ServerRoot $dir
ServerName 127.0.0.1
Listen 127.0.0.1:$port
PidFile $dir/apache.pid
ErrorLog $dir/error.log
CustomLog $dir/access.log "%{%T}t.%{msec_frac}t %r: %>s"
DefaultRuntimeDir $dir
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule dav_module /usr/lib/apache2/modules/mod_dav.so
LoadModule dav_fs_module /usr/lib/apache2/modules/mod_dav_fs.so
$switch
DavLockDB $dir/locks/locks
DocumentRoot $dir/data
KeepAlive On
MaxKeepAliveRequests 0
<Directory $dir/data>
    Require all granted
</Directory>
Alias /mirror $dir/data/dav
<Location /dav>
    Dav On
    AuthType Basic
    AuthName dav
    AuthUserFile $dir/passwords
    Require valid-user
</Location>
CONF
    start_server "$apache" -f "$dir/apache.conf" -DFOREGROUND
    wait_until curl -s "http://127.0.0.1:$port/"
    cat <<ENV
export DAG_TEST_DAV='http://dag:secret-word@127.0.0.1:$port/dav/cache'
export DAG_TEST_MIRROR='http://127.0.0.1:$port/mirror/cache'
ENV
}
main "$@"
