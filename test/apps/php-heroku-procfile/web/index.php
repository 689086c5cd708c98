<?php echo "served from ", basename(__DIR__);
