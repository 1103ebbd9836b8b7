"""Catalogs in object storage: each machine works on a copy of its own, which follows the shared one.

    object_store.py   the objects of one catalog: a manifest that is replaced conditionally, index files that stay
    copies.py         makes a folder what the objects are
    follower.py       keeps the copies of a server or a function up to date
    writing.py        lets `CatalogWriter` change a shared catalog, beside writers on other machines

The objects have the names and the content of a catalog's files, so that `aws s3 sync` of a folder makes one.
"""
