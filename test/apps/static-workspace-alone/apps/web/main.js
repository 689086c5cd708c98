document.title = 'Alone'
