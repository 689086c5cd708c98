<?php echo $_SERVER['REQUEST_URI'], ' ', $_GET['name'] ?? '-', ' ', ini_get('memory_limit'), ' ', getenv('OF_POOL'), ' ', $_SERVER['HTTP_X_RULE'] ?? '-';
