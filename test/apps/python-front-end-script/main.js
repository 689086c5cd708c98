document.title = 'front end'
