<?php echo "never";
