"""In INSTALLED_APPS: configures the recorder from the setting XRAY_RECORDER."""
