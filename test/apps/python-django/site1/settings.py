SECRET_KEY = "not a secret: this is a test"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site1.urls"
