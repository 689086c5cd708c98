<?php echo 'home', $_SERVER['PATH_INFO'] ?? '';
