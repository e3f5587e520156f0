<?php
require '/etc/simplesamlphp/config.php';
$dir = '{{.Dir}}';
$config = array_merge($config, [
    'baseurlpath' => 'https://simplesaml.localhost:{{.Port}}/simplesaml/', 'certdir' => "$dir/", 'loggingdir' => "$dir/php/", 'datadir' => "$dir/php/",
    'tempdir' => "$dir/php/", 'metadatadir' => "$dir/ssp/metadata/", 'secretsalt' => 'a salt of the lab alone', 'auth.adminpassword' => 'none of the lab',
    'logging.handler' => 'file', 'logging.level' => 6, 'session.cookie.secure' => true, 'session.cookie.samesite' => 'None',
    'session.phpsession.samesite' => 'None', 'session.phpsession.cookiename' => 'SSPLAB', 'session.cookie.name' => 'SSPLABID', 'showerrors' => true,
    'metadata.sources' => [['type' => 'xml', 'file' => "$dir/idp.xml"]], 'technicalcontact_email' => 'na@example.org', 'timezone' => 'UTC',
]);
