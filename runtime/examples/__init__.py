"""Tasks that come with graphc besides the digits: ``graphc train NAME``. Each leaves pictures or text of its own."""
