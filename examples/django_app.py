"""Django, a project in one file: a view, a model and its table. Nothing in this file is about tracing.

    fluoro run --service django-shop python examples/django_app.py
    curl http://127.0.0.1:8000/prices/tea

You will see one trace: `GET /prices/{product}` of django-shop, and in it the model's SELECT after the statements by which
Django sets up a connection to SQLite. What Django sends at the start, outside of any request, are traces of their own.
"""

import os
import tempfile

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models
from django.http import JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import path

folder = tempfile.TemporaryDirectory()
database = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder.name}/shop.db"}
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DATABASES={"default": database})
django.setup()


class Price(models.Model):
    product = models.CharField(max_length=20)
    pence = models.IntegerField()

    class Meta:
        app_label = "shop"

    def __str__(self):
        return self.product


def price(_request, product):
    return JsonResponse({"product": product, "pence": get_object_or_404(Price, product=product).pence})


urlpatterns = [path("prices/<str:product>", price)]

if __name__ == "__main__":
    with connection.schema_editor() as editor:
        editor.create_model(Price)
    Price.objects.create(product="tea", pence=320)
    call_command("runserver", f"127.0.0.1:{os.environ.get('PORT', '8000')}", use_reloader=False)
