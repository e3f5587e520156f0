<?php
// One application in several dresses: the name of the file says which kind of client
// phpCAS plays. It tells what it learnt as JSON.
require_once '/usr/share/php/CAS/CAS.php';

$kind = basename($_SERVER['SCRIPT_NAME'], '.php');
$gate = parse_url(getenv('GATE'));
$own = 'https://' . $_SERVER['HTTP_HOST'];
$version = ['one' => CAS_VERSION_1_0, 'two' => CAS_VERSION_2_0, 'saml' => SAML_VERSION_1_1][$kind] ?? CAS_VERSION_3_0;
if ($kind === 'front') {
    phpCAS::proxy($version, $gate['host'], $gate['port'], '/cas', $own);
    phpCAS::setPGTStorageFile(getenv('GRANTS'));
    phpCAS::setFixedCallbackURL($own . '/app/front.php');
} else {
    phpCAS::client($version, $gate['host'], $gate['port'], '/cas', $own);
}
phpCAS::setCasServerCACert(getenv('CA'));
phpCAS::handleLogoutRequests(true, ['127.0.0.1']);
if ($kind === 'back') phpCAS::allowProxyChain(new CAS_ProxyChain([getenv('FRONT')]));

if (isset($_GET['logout'])) phpCAS::logoutWithRedirectService($own . '/app/bye.html');
if (isset($_GET['gateway'])) $known = phpCAS::checkAuthentication();
elseif (isset($_GET['renew'])) $known = phpCAS::renewAuthentication();
else $known = phpCAS::forceAuthentication();

$told = ['user' => '', 'attributes' => [], 'proxies' => [], 'behind' => null];
if ($known !== false) {
    $told['user'] = phpCAS::getUser();
    if ($kind !== 'one') $told['attributes'] = phpCAS::getAttributes();
    if ($kind === 'back') $told['proxies'] = phpCAS::getProxies();
}
if ($kind === 'front') {
    try {
        $behind = phpCAS::getProxiedService(PHPCAS_PROXIED_SERVICE_HTTP_GET);
        $behind->setUrl($_GET['to'] ?? getenv('BACK'));
        $behind->send();
        $told['behind'] = json_decode($behind->getResponseBody());
    } catch (CAS_ProxyTicketException $e) {
        $told['behind'] = ['refused' => $e->getMessage()];
    }
}
$told['attributes'] = (object) $told['attributes'];
header('Content-Type: application/json');
echo json_encode($told, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
