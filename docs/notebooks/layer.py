# %% [markdown]
# # layer
# %%
print(1)
