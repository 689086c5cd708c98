import { greeting } from 'words'

document.title = greeting
