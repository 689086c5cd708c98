<?php
$status = fn (string $path): string => explode(' ', get_headers('http://127.0.0.1:' . getenv('PORT') . $path)[0])[1];
$own = get_headers('http://127.0.0.1:' . getenv('PORT') . '/index.php', true)['X-Server'] ?? 'none';
echo $_GET['id'], ' ', $status('/private/note.txt'), ' ', $status('/.htaccess'), ' ', $status('/nothing'), ' ', $own, ' ';
echo file_get_contents('http://127.0.0.1:' . getenv('PORT') . '/index.php/shop/7');
