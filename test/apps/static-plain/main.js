document.title = 'a script of the page, not a server'
