<?php echo str_contains((string) file_get_contents(__DIR__ . '/build/assets/app-Xy3_kP0q.css'), 'PHP 8') ? 'built with the packages' : 'built without';
