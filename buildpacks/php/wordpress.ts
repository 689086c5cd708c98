/**
 * A wp-config.php (developer.wordpress.org, "Editing wp-config.php") that reads its values from the environment, with the variable
 * names of WordPress's image on Docker Hub: a value, or with _FILE the name of a file with the value.
 */
export const wordPressConfig = `<?php
function bale_setting(string $name, string $default = ''): string
{
    $file = getenv($name . '_FILE');
    if ($file !== false && $file !== '') {
        return rtrim((string) file_get_contents($file), "\\r\\n");
    }
    $value = getenv($name);
    return $value === false || $value === '' ? $default : $value;
}

$url = parse_url((string) getenv('DATABASE_URL')) ?: [];
$port = isset($url['port']) ? ':' . $url['port'] : '';
define('DB_NAME', bale_setting('WORDPRESS_DB_NAME', ltrim(rawurldecode($url['path'] ?? '/wordpress'), '/')));
define('DB_USER', bale_setting('WORDPRESS_DB_USER', rawurldecode($url['user'] ?? 'wordpress')));
define('DB_PASSWORD', bale_setting('WORDPRESS_DB_PASSWORD', rawurldecode($url['pass'] ?? '')));
define('DB_HOST', bale_setting('WORDPRESS_DB_HOST', isset($url['host']) ? $url['host'] . $port : 'mysql'));
define('DB_CHARSET', bale_setting('WORDPRESS_DB_CHARSET', 'utf8mb4'));
define('DB_COLLATE', bale_setting('WORDPRESS_DB_COLLATE'));
$table_prefix = bale_setting('WORDPRESS_TABLE_PREFIX', 'wp_');

foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $kind) {
    foreach (['KEY', 'SALT'] as $part) {
        $value = bale_setting("WORDPRESS_{$kind}_{$part}");
        // Without one, WordPress makes it and keeps it in its database.
        if ($value !== '') {
            define("{$kind}_{$part}", $value);
        }
    }
}

define('WP_DEBUG', filter_var(bale_setting('WORDPRESS_DEBUG'), FILTER_VALIDATE_BOOLEAN));
// The files are those of the image: what an update changed would be gone with the next start.
define('DISALLOW_FILE_MODS', filter_var(bale_setting('WORDPRESS_DISALLOW_FILE_MODS', 'true'), FILTER_VALIDATE_BOOLEAN));

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
`
